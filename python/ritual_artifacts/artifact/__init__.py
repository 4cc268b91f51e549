"""What an artifact is: its model, its files, its manifest and its digest. Nothing here moves bytes."""
