"""``python -m vertebrometer.cli``."""

from vertebrometer.cli import main

if __name__ == "__main__":
    main()
