"""Memory of one process, phase by phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from qstar_pl.distributed.sharding import Sharding
from qstar_pl.planning.footprint import activations, footprint
from qstar_pl.planning.workload import Workload

GIB = 2**30
ASSUMPTIONS = (
    "every prompt and answer is as long as it may be, unless --prompt_tokens and --answer_tokens say otherwise",
    "the optimizer's state is what it keeps for one parameter, times the number of parameters",
    "a backward pass needs, beside what the forward pass kept, two more copies of the logits in float32",
    "the largest parameter's gradient exists twice before it is added up; of a sharded model, one unit's whole",
    "while decoding, a token's logits are copied eight times in float32 (two models, q and its parts)",
    "a sharded model has two units gathered at a time (one is used, one is on its way)",
    "nothing is added for the CUDA context (0.5 to 1 GiB), NCCL's buffers and fragmentation (5 to 10%)",
)


@dataclass(frozen=True)
class Models:
    """The models of a run, by the part they play."""

    policy: PreTrainedModel
    """The model that learns."""
    frozen: Mapping[str, PreTrainedModel]
    """Models that do not learn: reference, target, reward."""
    decoding: tuple[str, ...]
    """Names of the frozen models that run token by token while answers are drawn."""
    policy_scores: bool = False
    """Whether π_init is the policy without its adapters, which takes time and no memory (`AdapterOff`)."""
    target_adapters: int | None = None
    """Bytes of π_t's own adapters where it has its weights in the policy (`PolicyBase`); None: it has a whole model."""

    batches_ahead: int = 0
    """Batches whose answers a second policy draws before their turn (`max_staleness`)."""
    engine_bytes: float = 0.0
    """Bytes that an engine holds on the device of each process (`EngineSampler`)."""

    @property
    def caches(self) -> tuple[PreTrainedModel, ...]:
        """The model behind each cache while answers are drawn; the policy twice, where π_t has its weights there."""
        again = () if self.target_adapters is None else (self.policy,)
        return (self.policy, *again, *(self.frozen[name] for name in self.decoding))


@dataclass(frozen=True)
class Run:
    """How the models are stored and trained."""

    ranks: int
    sharding: Sharding | None
    """None: every process holds everything (one process, or DDP)."""
    compute_dtype: torch.dtype
    gathered: bool
    """Whether whole models are gathered for a rollout."""
    state_bytes_per_parameter: float
    """Bytes of the optimizer's state."""
    on_cpu: bool = False
    """Whether training runs on the CPU: torch then updates parameters one by one, without a temporary copy of all."""
    gradient_checkpointing: bool = False
    """The method's option of that name."""

    @property
    def runs_blocks_again(self) -> bool:
        """Whether blocks run again in the backward pass."""
        return self.gradient_checkpointing or (self.sharding is not None and self.sharding.activation_checkpointing)


def plan_memory(models: Models, run: Run, work: Workload) -> dict[str, dict[str, float]]:
    """Return bytes per process: {"always", "sampling", "scoring", "training", "optimizing"} → {what: bytes}.

    "always" is there in every phase; the peak is "always" plus the largest of the others. Answers that are drawn ahead
    are drawn while others are learned from: what that needs is there always.
    """
    shards = run.ranks if run.sharding is not None else 1
    policy = footprint(models.policy)
    frozen = {name: footprint(model) for name, model in models.frozen.items()}
    always = {"policy": policy.parameter_bytes / shards}
    always |= {name: one.parameter_bytes / shards for name, one in frozen.items()}
    if models.target_adapters:
        always["target's adapters"] = float(models.target_adapters)  # whole on every process
    if models.engine_bytes:
        always["engine"] = models.engine_bytes  # whole on every process
    if models.batches_ahead:
        # What does not train is shared. Besides the batches ahead, the one whose turn it is may still be drawn.
        always["second policy"] = float(policy.trainable_bytes)
        always["waiting weights"] = float(policy.trainable_bytes * (models.batches_ahead + 1))
    always["gradients"] = policy.trainable_bytes / shards
    always["optimizer state"] = policy.trainable * run.state_bytes_per_parameter / shards
    # Logits are at least float32 while distributions are formed from them.
    size, wide = run.compute_dtype.itemsize, max(4, run.compute_dtype.itemsize)
    phases: dict[str, dict[str, float]] = {"always": always}
    if work.drawn:
        decoding = [policy, *(frozen[name] for name in models.decoding)]
        sampling: dict[str, float] = {
            "KV caches": sum(footprint(one).cache_bytes_per_token for one in models.caches) * work.drawn * work.length,
            "logits": 8.0 * work.drawn * policy.vocab * wide,
        }
        if run.sharding is not None:
            # Gathered once for the rollout, or unit by unit at every token: one in use, one on its way.
            whole = sum(one.parameters for one in decoding) if run.gathered else 2 * policy.block_parameters
            sampling["gathered parameters"] = whole * size
        if models.batches_ahead:
            always |= {f"{name}, drawing ahead": bytes_ for name, bytes_ in sampling.items()}
        else:
            phases["sampling"] = sampling
    scored = work.drawn or work.learned
    phases["scoring"] = {
        "hidden states": 8.0 * scored * work.length * policy.hidden * size,
        "logits": 3.0 * scored * work.answer * policy.vocab * wide,
    }
    phases["training"] = _training(models.policy, run, work)
    if not run.on_cpu:
        phases["optimizing"] = {"temporary copy": policy.trainable_bytes / shards}
    if run.sharding is not None:
        for phase in ("scoring", "training"):
            largest = max(one.block_parameters for one in (policy, *frozen.values()))
            phases[phase]["gathered parameters"] = 2.0 * largest * size
    return phases


def _training(policy: PreTrainedModel, run: Run, work: Workload) -> dict[str, float]:
    sizes = footprint(policy)
    kept = activations(policy, work.learned, work.length, work.answer, run.compute_dtype)
    blocks = sizes.layers * kept.between + kept.block if run.runs_blocks_again else sizes.layers * kept.block
    logits = work.learned * work.answer * sizes.vocab
    # In float32: the one that the forward pass keeps, and two in the backward pass; see ASSUMPTIONS.
    copies = 3.0 * 4 + (2.0 * run.compute_dtype.itemsize if run.compute_dtype.itemsize < 4 else 0.0)
    # A tied embedding gets two gradients, the head's and its own. Under FSDP2 a whole unit's wait, in float32.
    on_its_way = 2.0 * sizes.largest_bytes if run.sharding is None else 4.0 * sizes.block_parameters
    return {
        "activations": float(blocks + kept.rest),
        "logits": logits * copies,
        "gradients on their way": on_its_way,
    }


def peak(phases: Mapping[str, Mapping[str, float]]) -> tuple[str, float]:
    """Return the phase that needs the most memory, and the bytes that it needs."""
    always = sum(phases["always"].values())
    totals = {name: always + sum(items.values()) for name, items in phases.items() if name != "always"}
    name = max(totals, key=totals.__getitem__)
    return name, totals[name]
