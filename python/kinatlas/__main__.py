"""``python -m kinatlas`` is the command line."""

from kinatlas.cli import main

if __name__ == "__main__":
    main()
