"""``python -m daybreak``."""

from daybreak.cli.main import main

if __name__ == "__main__":
    main()
