"""What an artifact is: its model, files, manifest and digest. Nothing here moves bytes."""
