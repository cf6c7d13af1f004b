"""`qstar validate`: report on the validation split.

qstar validate --data.val_limit 32
qstar validate --model SFT --model.metrics+=Perplexity
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

GROUP = "look"
"""Below which heading `qstar --help` lists it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run Lightning's command of this name."""
    from qstar_pl.cli.trainer import run_trainer

    run_trainer(["validate", *(sys.argv[1:] if argv is None else argv)])
    return 0
