"""`python -m qstar_pl` is the `qstar` command."""

import os
import sys

if __name__ == "__main__":
    # Python puts the working folder first, where a file that is called like a library would be imported in its place;
    # `main` puts it last.
    if not sys.flags.safe_path and sys.path[:1] in ([""], [os.getcwd()]):  # noqa: PTH109 (as Python wrote it)
        del sys.path[0]

    from qstar_pl.cli import main

    sys.exit(main())
