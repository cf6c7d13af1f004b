"""What to change in a run that does not fit."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from qstar_pl.distributed.sharding import Sharding
from qstar_pl.models.blocks import blocks_of
from qstar_pl.planning.plan import Plan

MOST_DOUBLINGS = 3
WORTH_IT = 0.95
"""A doubling of the GPUs that leaves more than this share of the peak is not worth proposing."""
PER_NODE = 8
"""Accelerators of a machine, before another machine is asked for."""
STRATEGY = "--trainer.strategy=FSDP2Strategy"


@dataclass(frozen=True)
class Changed:
    """A plan after one or several changes."""

    words: tuple[str, ...]
    """What to add to the command."""
    plan: Plan


class Remedy(ABC):
    """A change that needs less memory for the same learning, or nearly."""

    @abstractmethod
    def of(self, plan: Plan) -> Changed | None:
        """Return the nearest change of its kind with which the plan fits, else the furthest; None: there is none."""


@dataclass(frozen=True)
class SmallerBatch(Remedy):
    """Fewer rows at a time, and as many more micro-steps: the same gradient."""

    rows: int
    """The batch size of the configuration: prompts, pairs or demonstrations per process."""

    def of(self, plan: Plan) -> Changed | None:
        """See `Remedy.of`."""
        found = None
        rows = self.rows
        while rows > 1 and rows % 2 == 0 and (found is None or not found.plan.fits):
            rows //= 2
            parts = self.rows // rows
            work = replace(plan.work, drawn=plan.work.drawn // parts, learned=plan.work.learned // parts)
            steps = plan.accumulate * parts
            words = (f"--data.batch_size={rows}", f"--trainer.accumulate_grad_batches={steps}")
            found = Changed(words, replace(plan, work=work, accumulate=steps))
        return found


@dataclass(frozen=True)
class MicroBatches(Remedy):
    """Of a method that takes several steps on one draw: fewer answers per backward pass."""

    def of(self, plan: Plan) -> Changed | None:
        """See `Remedy.of`."""
        found = None
        learned, passes = plan.work.learned, plan.work.passes
        while learned > 1 and (found is None or not found.plan.fits):
            half = -(-learned // 2)
            learned, passes = half, passes * 2
            work = replace(plan.work, learned=learned, passes=passes)
            found = Changed((f"--model.micro_batch_size={learned}",), replace(plan, work=work))
        return found


@dataclass(frozen=True)
class Checkpointing(Remedy):
    """Blocks run again in the backward pass instead of keeping what they computed."""

    def of(self, plan: Plan) -> Changed | None:
        """See `Remedy.of`."""
        if plan.run.runs_blocks_again:
            return None
        run = replace(plan.run, gradient_checkpointing=True)
        return Changed(("--model.gradient_checkpointing=true",), replace(plan, run=run))


@dataclass(frozen=True)
class MoreShards(Remedy):
    """Parameters, gradients and moments divided among the GPUs that there are, or among more."""

    def of(self, plan: Plan) -> Changed | None:
        """See `Remedy.of`."""
        sharding = plan.run.sharding or Sharding()
        found = None
        nodes, gpus = plan.cluster.nodes, plan.cluster.gpus
        if plan.run.sharding is not None or nodes * gpus == 1:
            nodes, gpus = _doubled(nodes, gpus)
        for _ in range(MOST_DOUBLINGS):
            cluster = replace(plan.cluster, nodes=nodes, gpus=gpus)
            run = replace(plan.run, sharding=sharding, ranks=cluster.ranks)
            words = (f"--nodes={nodes}", f"--gpus={gpus}", *(() if plan.run.sharding is not None else (STRATEGY,)))
            more = Changed(words, replace(plan, cluster=cluster, run=run))
            if found is not None and more.plan.peak[1] > WORTH_IT * found.plan.peak[1]:
                break
            found = more
            if found.plan.fits:
                break
            nodes, gpus = _doubled(nodes, gpus)
        return found


def _doubled(nodes: int, gpus: int) -> tuple[int, int]:
    return (nodes, gpus * 2) if gpus < PER_NODE else (nodes * 2, gpus)


@dataclass(frozen=True)
class Streamed(Remedy):
    """No whole model on a process while answers are drawn; many exchanges instead."""

    named: bool = True
    """Whether the configuration, or another change, says FSDP2Strategy; to say it again would undo its options."""

    def of(self, plan: Plan) -> Changed | None:
        """See `Remedy.of`."""
        if plan.run.sharding is None or not plan.run.gathered or not plan.work.drawn:
            return None
        words = (*(() if self.named else (STRATEGY,)), "--trainer.strategy.gathering=streamed")
        return Changed(words, replace(plan, run=replace(plan.run, gathered=False)))


@dataclass(frozen=True)
class Adapters(Remedy):
    """Only low-rank adapters of the policy train (`LoRA`), here on every matrix of its blocks."""

    rank: int = 16

    def of(self, plan: Plan) -> Changed | None:
        """See `Remedy.of`."""
        policy = plan.models.policy
        if not all(parameter.requires_grad for parameter in policy.parameters()):
            return None  # it has some already
        matrices = [p for block in blocks_of(policy) for p in block.parameters() if p.dim() == 2]
        adapted = copy.deepcopy(policy).requires_grad_(False)
        size = self.rank * sum(sum(matrix.shape) for matrix in matrices)
        adapted.register_parameter("adapters", nn.Parameter(torch.empty(size, device="meta")))
        words = ("--model.policy=LoRA", f"--model.policy.rank={self.rank}", "--model.policy.base=(the present policy)")
        # π_init is then the policy without them.
        frozen = {name: model for name, model in plan.models.frozen.items() if name != "reference"}
        shares = len(frozen) < len(plan.models.frozen)
        models = replace(plan.models, policy=adapted, frozen=frozen, policy_scores=shares)
        return Changed(words, replace(plan, models=models))


def remedies(plan: Plan, smaller: Remedy, streamed: Remedy = Streamed()) -> Sequence[Changed]:
    """Return changes that lower the peak, one kind each; last, if none alone is enough, what fits together.

    Args:
        plan: one that does not fit.
        smaller: what makes its batches smaller.
        streamed: what draws answers without whole models.

    """
    kinds = (Checkpointing(), smaller, streamed, MoreShards(), Adapters())
    found = [changed for kind in kinds if (changed := kind.of(plan)) is not None]
    found = sorted((one for one in found if one.plan.peak[1] < plan.peak[1]), key=lambda one: not one.plan.fits)
    if any(one.plan.fits for one in found):
        return found
    words: list[str] = []
    together = plan
    # Once sharded by more GPUs, blocks can be run again, and streamed.
    for kind in (*kinds[:-1], Checkpointing(), streamed, kinds[-1]):
        changed = kind.of(together)
        if changed is not None and changed.plan.peak[1] < together.peak[1]:
            words += changed.words
            together = changed.plan
        if together.fits:
            return [*found, Changed(tuple(dict.fromkeys(words)), together)]
    return found
