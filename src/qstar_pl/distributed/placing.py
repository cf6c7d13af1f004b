"""What a LightningModule does about sharding: nothing, unless its trainer's strategy shards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from lightning.pytorch import LightningModule
from torch import nn

from qstar_pl.distributed.generation import generating
from qstar_pl.distributed.sharding import ShardedPlacement, Sharding, shard_rest
from qstar_pl.distributed.strategy import FSDP2Strategy
from qstar_pl.errors import UserError
from qstar_pl.models.placement import placing
from qstar_pl.rollout.pace import Pace


@contextmanager
def placed(module: LightningModule) -> Iterator[None]:
    """Shard every model that is loaded inside the block, and at its end whatever else the module has parameters of.

    To be entered in `configure_model`, on every process; without a sharding strategy it changes nothing.

    Raises:
        UserError: if the strategy asks for tensor parallelism.

    """
    mesh = module.device_mesh  # set by Lightning's ModelParallelStrategy, before it calls configure_model
    if mesh is None:
        yield
        return
    tensor_parallel, data_parallel = mesh["tensor_parallel"], mesh["data_parallel"]
    if tensor_parallel.size() != 1:
        raise UserError(
            f"trainer.strategy.tensor_parallel_size must be 1, got {tensor_parallel.size()}: models are sharded over "
            "data-parallel processes (trainer.strategy=fsdp2 sets both sizes)"
        )
    sharding = options_of(module)[0]
    with placing(ShardedPlacement(sharding, data_parallel, module.trainer.strategy.root_device)):
        yield
    shard_rest(module, sharding, data_parallel)


def options_of(module: LightningModule) -> tuple[Sharding, FSDP2Strategy | None]:
    """Return how the module's models are sharded, and the strategy if it is ours."""
    # `_trainer`, since Lightning's property `trainer` raises where there is none.
    strategy = module.trainer.strategy if module._trainer is not None else None
    return (strategy.sharding, strategy) if isinstance(strategy, FSDP2Strategy) else (Sharding(), None)


@contextmanager
def sampling_from(module: LightningModule, models: Iterable[nn.Module]) -> Iterator[Pace]:
    """Make `models` fit for decoding, as the module's strategy says; see `generating`, also for what is yielded."""
    sharding, strategy = options_of(module)
    if strategy is None:
        with generating(models, sharding) as pace:
            yield pace
    else:
        with generating(models, sharding, strategy.gathering, strategy.rollout_limit_s) as pace:
            yield pace


@contextmanager
def gathered_for(module: LightningModule, models: Iterable[nn.Module]) -> Iterator[None]:
    """Keep whole parameters of `models` on every process, which all must enter the block, also where they are streamed.

    For passes of which one process may need more than another: as many as there are answers to compare, or long texts.
    """
    with generating(models, options_of(module)[0]):
        yield
