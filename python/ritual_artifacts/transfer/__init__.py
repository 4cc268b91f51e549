"""How an artifact moves: publishing, fetching, downloading and verification, the same for every backend."""
