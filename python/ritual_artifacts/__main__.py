"""`python -m ritual_artifacts`: the command line."""

from ritual_artifacts.cli import main

if __name__ == "__main__":
    main()
