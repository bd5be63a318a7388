"""``python -m common.cli`` is ``replicate``."""

from common.cli import main

if __name__ == "__main__":
    main()
