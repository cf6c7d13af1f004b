"""`python -m qstar_pl` is the `qstar` command."""

import sys

from qstar_pl.cli import main

if __name__ == "__main__":
    sys.exit(main())
