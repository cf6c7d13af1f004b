"""One of two processes of the distributed checks: trains, and rank zero writes what was logged to a file.

Run as `python two_ranks.py <output.json>`, once per rank, with MASTER_ADDR, WORLD_SIZE, NODE_RANK and LOCAL_RANK set.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy
from torch import Tensor
from torch.distributed.fsdp import fully_shard

sys.path.insert(0, str(Path(__file__).parents[1]))

from reference.gradients import Regression
from reference.gradients import fit as fit_regression
from reference.toy_training import make_rows, report_of, take, train

from qstar_pl.callbacks import (
    AlphaDiagnostic,
    ESSDiagnostic,
    KLDiagnostic,
    LengthsDiagnostic,
    LossDiagnostic,
    ParetoDiagnostic,
    RewardDiagnostic,
    ThroughputDiagnostic,
    WeightsDiagnostic,
)
from qstar_pl.types import StepReport

ROLLOUTS = (
    AlphaDiagnostic,
    ESSDiagnostic,
    KLDiagnostic,
    LengthsDiagnostic,
    RewardDiagnostic,
    WeightsDiagnostic,
    ParetoDiagnostic,
)
ACCUMULATE = 4


def rank() -> int:
    return torch.distributed.get_rank()


def rollouts() -> list[dict[str, float]]:
    """24 answers, 3 of each micro-step on each rank."""
    rows = make_rows(24, 11, samples=3)

    def reports(number: int, loss: Tensor) -> StepReport:
        start = 3 * (2 * number + rank())
        return report_of(take(rows, range(start, start + 3)), loss)

    _, logger = train(reports, 4, [one() for one in ROLLOUTS], strategy="ddp", devices=2, accumulate_grad_batches=4)
    return [metrics for _, metrics in logger.calls]


def one_rank_is_empty() -> list[dict[str, float]]:
    """Rank 1 has no report at first, and later a term of the loss and a rollout that no rank had before."""
    rows = make_rows(24, 11, samples=3)
    counts = {"gathers": 0}
    gather = torch.distributed.nn.functional.all_gather

    def counted(*args: Any, **kwargs: Any) -> Any:
        counts["gathers"] += 1
        return gather(*args, **kwargs)

    def reports(number: int, loss: Tensor) -> StepReport | None:
        if number < 3:
            return None if rank() else StepReport(loss.detach(), {}, 2, 10)
        return report_of(rows, loss) if rank() else StepReport(loss.detach(), {}, 2, 10)

    torch.distributed.nn.functional.all_gather = counted
    callbacks = [LossDiagnostic(), WeightsDiagnostic(), ThroughputDiagnostic()]
    _, logger = train(reports, 5, callbacks, strategy="ddp", devices=2)
    torch.distributed.nn.functional.all_gather = gather
    return [metrics for _, metrics in logger.calls] + [counts]  # type: ignore[list-item]


def unfinished_window(folder: Path) -> list[dict[str, float]]:
    """Stop in the middle of a window, resume from the checkpoint; then the same without a stop."""
    rows = make_rows(24, 11, samples=3)

    def reports(number: int, loss: Tensor) -> StepReport:
        start = 3 * (2 * number + rank())
        return report_of(take(rows, range(start, start + 3)), loss)

    def callbacks() -> list[Any]:
        return [ThroughputDiagnostic(), *(one() for one in ROLLOUTS)]

    options: dict[str, Any] = {"strategy": "ddp", "devices": 2, "every": 4}
    trainer, _ = train(reports, 4, [*callbacks(), _SaveAt(folder / "half.ckpt", 2)], max_steps=2, **options)
    trainer.strategy.barrier()
    _, resumed = train(reports, 4, callbacks(), ckpt_path=folder / "half.ckpt", **options)
    _, whole = train(reports, 4, callbacks(), **options)
    return [metrics for logger in (resumed, whole) for _, metrics in logger.calls]


class _SaveAt(Callback):
    def __init__(self, path: Path, step: int) -> None:
        self.path, self.step = path, step

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


class Sharded(Regression):
    """The layer's rows sharded over two ranks; three rows, so that the shards are of unequal size."""

    def configure_model(self) -> None:
        fully_shard(self.layer)


def gradients(strategy: Any, module: Regression) -> list[dict[str, float]]:
    _, logger = fit_regression(8, ACCUMULATE, module=module, strategy=strategy, devices=2, batch=6)
    return [metrics for _, metrics in logger.calls]


def main() -> None:
    output = Path(sys.argv[1])
    # The ranks meet in a file: a port that was free a moment ago may not be so any more. Lightning uses the group.
    meeting = (output.parent / "meeting").as_uri()
    torch.distributed.init_process_group("gloo", meeting, rank=int(os.environ["LOCAL_RANK"]), world_size=2)
    results = {
        "rollouts": rollouts(),
        "one_rank_is_empty": one_rank_is_empty(),
        "unfinished_window": unfinished_window(output.parent),
        "ddp": gradients(DDPStrategy(), Regression()),
        "fsdp2": gradients(ModelParallelStrategy(), Sharded()),
    }
    if rank() == 0:
        output.write_text(json.dumps(results))


if __name__ == "__main__":
    main()
