"""`qstar test`: report on the test split.

qstar test --data.test_limit 32
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

GROUP = "look"
"""Below which heading `qstar --help` lists it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run Lightning's command of this name."""
    from qstar_pl.cli.trainer import run_trainer

    run_trainer(["test", *(sys.argv[1:] if argv is None else argv)])
    return 0
