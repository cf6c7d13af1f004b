"""Time of one optimizer step, phase by phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qstar_pl.planning.cluster import Cluster
from qstar_pl.planning.footprint import footprint
from qstar_pl.planning.memory import Models, Run
from qstar_pl.planning.workload import Workload

ASSUMPTIONS = (
    "a token costs 2 operations per parameter forwards and 4 backwards (2 more if blocks are computed again)",
    "attention's own products are left out (below 10% at a length of a sixth of the hidden width or less)",
    "one decode step reads each decoding model's weights and caches once, or computes them, whichever is slower",
    "exchanges do not overlap with computation, which FSDP2 hides in part: the true time lies below",
    "rewards are scored by one pass of the reward model; log π_init by one of the reference",
    "loading data, validation, checkpoints and logging are left out",
)


@dataclass(frozen=True)
class Speed:
    """Seconds per optimizer step, and what follows."""

    phases: Mapping[str, float]
    """Phase → seconds."""
    tokens: int
    """Answer tokens per optimizer step over all processes, each counted once."""

    @property
    def step_s(self) -> float:
        """Seconds per optimizer step."""
        return sum(self.phases.values())

    @property
    def tokens_per_s(self) -> float:
        """Answer tokens per second over all processes."""
        return self.tokens / self.step_s


def plan_speed(models: Models, run: Run, work: Workload, cluster: Cluster, accumulate: int) -> Speed:
    """Return the time of a rollout with all its backward passes, or of `accumulate` micro-steps."""
    policy = footprint(models.policy)
    frozen = {name: footprint(model) for name, model in models.frozen.items()}
    flops = cluster.tflops * 1e12 * cluster.compute_efficiency
    size = run.compute_dtype.itemsize
    phases: dict[str, float] = {}
    if work.drawn:
        decoding = [policy, *(frozen[name] for name in models.decoding)]
        weights = sum(one.parameters for one in decoding) * size
        # Averaged over an answer, half of it is in the cache.
        caching = [footprint(one) for one in models.caches]
        caches = sum(one.cache_bytes_per_token for one in caching) * work.drawn * (work.prompt + work.answer / 2)
        # Per decode step: time to read weights and caches (bytes / rate), and time to compute (operations / flops).
        rate = cluster.memory_gbs * 1e9 * cluster.decode_efficiency
        computed = 2.0 * work.drawn * sum(one.parameters for one in caching) / flops
        prefill = computed * work.prompt
        phases["sampling"] = prefill + work.answer * max((weights + caches) / rate, computed)
        scored = sum(one.parameters for name, one in frozen.items() if name not in models.decoding)
        scored += policy.parameters * models.policy_scores
        phases["scoring"] = 2.0 * work.drawn * work.length * scored / flops
    elif models.policy_scores or "reference" in frozen:
        reference = policy if models.policy_scores else frozen["reference"]
        phases["scoring"] = 2.0 * work.learned * work.length * reference.parameters / flops
    trained = work.passes * work.learned * work.length
    # 2 operations per parameter and token forwards, 4 backwards, and 2 if the forward pass is run again.
    phases["training"] = (8.0 if run.runs_blocks_again else 6.0) * policy.parameters * trained / flops
    if run.ranks > 1:
        phases["exchange"] = _exchange(models, run, work, size) / (cluster.exchange_gbs * 1e9)
    micro_steps = {name: seconds * accumulate for name, seconds in phases.items()}
    rows = work.drawn or work.learned
    return Speed(micro_steps, rows * work.answer * accumulate * run.ranks)


def _exchange(models: Models, run: Run, work: Workload, size: int) -> float:
    """Return the bytes that one process receives in a micro-step."""
    # In ring algorithms a process receives (n − 1)/n of what is gathered or reduced.
    policy, part = footprint(models.policy), (run.ranks - 1) / run.ranks
    gradients = 4.0 * policy.trainable * part
    if run.sharding is None:
        return 2.0 * gradients * work.passes  # all-reduce = reduce-scatter + all-gather
    # Gathered for the forward pass, and again for the backward pass if freed in between.
    gathers = 2.0 if run.sharding.reshard_after_forward else 1.0
    trained = (gathers * size * policy.parameters * part + gradients) * work.passes
    frozen = sum(footprint(model).parameters for model in models.frozen.values())
    frozen += policy.parameters * models.policy_scores
    scored = size * frozen * part
    decoding = policy.parameters + sum(footprint(models.frozen[name]).parameters for name in models.decoding)
    drawn = size * decoding * part * (1 if run.gathered else work.answer) if work.drawn else 0.0
    return trained + scored + drawn
