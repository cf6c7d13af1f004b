"""`qstar fit`: train a method.

Without options: q* on the tiny world, for 200 steps. Options come from the command line, over YAML (--config, a file
or a name that `qstar configs` lists), over a checkpoint's own (--ckpt_path), over the defaults below.

    qstar fit
    qstar fit --config experiment/quickstart --trainer.max_steps 20
    qstar fit --model DPO --data.batch_size 4 --name my_dpo
    qstar fit --model.sampler.alpha FixedAlpha --model.sampler.alpha.value 0.3
    qstar fit --model.target.help
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

GROUP = "train"
"""Below which heading `qstar --help` lists it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run Lightning's command of this name."""
    from qstar_pl.cli.trainer import run_trainer

    run_trainer(["fit", *(sys.argv[1:] if argv is None else argv)])
    return 0
