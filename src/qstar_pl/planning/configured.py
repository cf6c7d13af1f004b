"""What decides memory in a configuration: which models, in which dtype, on how many devices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy
from transformers import PreTrainedModel

from qstar_pl.distributed import FSDP2Strategy, Sharding
from qstar_pl.methods import RewardModeling, RLHFModule
from qstar_pl.methods.bases.rollout_module import RolloutModule
from qstar_pl.models.adapters_off import AdaptersOff
from qstar_pl.models.configure import DTYPES
from qstar_pl.models.placement import Placement, placing
from qstar_pl.models.whole_weights import whole_weights
from qstar_pl.planning.cluster import Cluster
from qstar_pl.planning.footprint import language_models
from qstar_pl.planning.memory import Models, Run
from qstar_pl.samplers import EngineSampler

HALF = {"bf16-mixed": "bfloat16", "16-mixed": "float16", "bf16-true": "bfloat16", "16-true": "float16"}
"""Lightning's precision → the dtype of the computation, where it is not float32."""


class _Hollow(Placement):
    """Builds models as structures on the meta device, without weights."""

    @property
    def empty(self) -> bool:
        return True

    def place(self, model: PreTrainedModel) -> PreTrainedModel:
        return model


@contextmanager
def _hollow() -> Iterator[None]:
    with placing(_Hollow()):
        yield


def models_of(module: RLHFModule, device_bytes: float = 0.0) -> Models:
    """Build the module's models without their weights, and say which role each plays.

    Args:
        module: the method.
        device_bytes: memory of each accelerator, of which an engine may take a share.

    """
    with _hollow():
        module.build_models()
    if isinstance(module, RewardModeling):
        return Models(language_models(module)[0], {}, ())
    frozen = {
        name: model
        for name in module.frozen_parts()
        if (child := getattr(module, name, None)) is not None
        for model in language_models(child)[:1]
    }
    for model in frozen.values():
        model.requires_grad_(False)
    # Only where answers are drawn does π_t run token by token, next to the policy.
    decoding: tuple[str, ...] = ()
    target = getattr(module, "target", None)
    if isinstance(module, RolloutModule) and "target" in frozen:
        decoding = ("target",)
    policy: Any = module.policy
    reference, expert = (getattr(part, name, None) for part, name in ((module, "reference"), (target, "expert")))
    own = None
    if isinstance(expert, AdaptersOff) and isinstance(module, RolloutModule):
        own = sum(value.numel() * value.element_size() for value in expert.buffers())
    ahead, engine = 0, 0.0
    if isinstance(module, RolloutModule):
        ahead = module.batches_ahead
        if isinstance(module.sampler, EngineSampler):
            whole = sum(value.numel() for _, value in whole_weights(policy))
            engine = module.sampler.engine.held_bytes(whole, policy.dtype, device_bytes)
    return Models(policy, frozen, decoding, isinstance(reference, AdaptersOff), own, ahead, engine)


def state_bytes(module: RLHFModule) -> float:
    """Return bytes of the optimizer's state per parameter, measured by a step with a few parameters."""
    # State is created by the first step, which needs a gradient.
    parameter = torch.nn.Parameter(torch.zeros(4096))
    parameter.grad = torch.zeros_like(parameter)
    optimizer = module.optimizer([parameter])
    optimizer.step()
    tensors = [value for value in optimizer.state[parameter].values() if isinstance(value, torch.Tensor)]
    # Scalars, such as AdamW's step counter, do not grow with the parameters.
    return sum(value.untyped_storage().nbytes() for value in tensors if value.numel() > 1) / 4096


def run_of(settings: Any, module: RLHFModule, cluster: Cluster) -> Run:
    """Return how a configuration stores and trains its models.

    Args:
        settings: the options of the trainer, by name, with strategies as objects.
        module: the method.
        cluster: where it is trained.

    """
    strategy, precision = settings.strategy, str(settings.precision or "32-true")
    sharding, gathered = None, True
    if isinstance(strategy, FSDP2Strategy):
        sharding, gathered = strategy.sharding, strategy.gathering == "gathered"
    elif strategy == "fsdp2" or isinstance(strategy, ModelParallelStrategy):
        sharding = Sharding()
    elif str(strategy).startswith("fsdp") or isinstance(strategy, FSDPStrategy):
        sharding, gathered = Sharding(), False
    half = (sharding.param_dtype if sharding is not None else None) or HALF.get(precision)
    dtype = DTYPES[half] if half else next(module.parameters()).dtype
    on_cpu = settings.accelerator == "cpu"
    again = module.gradient_checkpointing
    return Run(cluster.ranks, sharding, dtype, gathered, state_bytes(module), on_cpu, again)
