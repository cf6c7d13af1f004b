"""`qstar predict`: write the answers of a trained policy to a file.

qstar predict --data.test_limit 32 --name answers
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

GROUP = "generate"
"""Below which heading `qstar --help` lists it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run Lightning's command of this name."""
    from qstar_pl.cli.trainer import run_trainer

    run_trainer(["predict", *(sys.argv[1:] if argv is None else argv)])
    return 0
