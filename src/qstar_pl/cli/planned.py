"""The words of `qstar fit`, as a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lightning.pytorch import Trainer

from qstar_pl.cli.trainer import TrainerCLI
from qstar_pl.distributed import FSDP2Strategy
from qstar_pl.methods import PPO
from qstar_pl.planning.cluster import Cluster
from qstar_pl.planning.configured import models_of, run_of
from qstar_pl.planning.memory import GIB
from qstar_pl.planning.plan import Plan
from qstar_pl.planning.remedies import Changed, MicroBatches, SmallerBatch, Streamed, remedies
from qstar_pl.planning.shapes import Shape
from qstar_pl.planning.stand_ins import put_stand_ins
from qstar_pl.planning.workload import workload
from qstar_pl.quiet import quieten_commands


@dataclass(frozen=True)
class Planned:
    """A plan, and what else is to be said about it."""

    plan: Plan
    steps: int | None
    """Optimizer steps of the run; None: it is not bounded by steps."""
    changes: Sequence[Changed]
    """What would make it fit; empty if it does."""
    notices: Sequence[str]
    """Which models stand for others."""


class PlanCLI(TrainerCLI):
    """Parses what `fit` would, and builds the method and the data, but not its trainer: the cluster is elsewhere."""

    def __init__(self, words: Sequence[str], shapes: Mapping[str, Shape]) -> None:
        self.shapes = shapes
        self.notices: Sequence[str] = ()
        super().__init__(["fit", *words], execute=False)

    def before_instantiate_classes(self) -> None:
        """Also put shapes in the place of models that are not on this machine."""
        super().before_instantiate_classes()
        self.notices = put_stand_ins(self.config["fit"].model, self.shapes)

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Return a stand-in, with which nothing is run."""
        return Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)


def read_plan(
    words: Sequence[str],
    cluster_of: Callable[[Any], Cluster],
    shapes: Mapping[str, Shape],
    *,
    prompt_tokens: int | None = None,
    answer_tokens: int | None = None,
) -> Planned:
    """Return the plan of a run.

    Args:
        words: as of `qstar fit`.
        cluster_of: the trainer's options → where it is to run.
        shapes: name or path of a model that is not here → its shape.
        prompt_tokens: of every prompt; None: the longest allowed.
        answer_tokens: of every answer; None: the longest allowed.

    """
    quieten_commands()
    cli = PlanCLI(words, shapes)
    module: Any = cli.model
    settings = cli.config_init["fit"].trainer  # as `fit` would have it, with strategies built
    cluster = cluster_of(settings)
    work = workload(module, cli.datamodule, prompt_tokens, answer_tokens)
    accumulate = int(settings.accumulate_grad_batches or 1)
    plan = Plan(
        models_of(module, cluster.memory_gib * GIB), run_of(settings, module, cluster), work, cluster, accumulate
    )
    smaller = MicroBatches() if isinstance(module, PPO) else SmallerBatch(cli.datamodule.batch_size)
    named = plan.run.sharding is None or isinstance(settings.strategy, FSDP2Strategy)
    changes = [] if plan.fits else remedies(plan, smaller, Streamed(named))
    return Planned(plan, settings.max_steps if settings.max_steps != -1 else None, changes, cli.notices)
