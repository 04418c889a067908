"""``python -m shelflife``."""

from shelflife.cli import main

if __name__ == "__main__":
    main()
