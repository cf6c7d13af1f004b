"""`trainer.strategy: fsdp2`: Lightning's strategy with what this project needs of sharding."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch.strategies import ModelParallelStrategy, StrategyRegistry

from qstar_pl.checkpoints.damage import SHARDED_METADATA, check_whole, find_damage, write_manifest
from qstar_pl.checkpoints.optimizers import KEY as OPTIMIZERS
from qstar_pl.checkpoints.optimizers import check_has_state, check_same
from qstar_pl.checkpoints.sharded import check_no_code, is_sharded
from qstar_pl.distributed.generation import Gathering
from qstar_pl.distributed.sharding import Sharding
from qstar_pl.errors import UserError
from qstar_pl.files import replacing


class FSDP2Strategy(ModelParallelStrategy):
    """Fully sharded data parallel training over all processes (`torch.distributed.fsdp.fully_shard`).

    Lightning's `ModelParallelStrategy` leaves it to the module how it is sharded; here the options of that, and of
    sampling under it, are arguments of the strategy, so that a method runs on any strategy unchanged. Lightning's own
    class works too, with these defaults, if `tensor_parallel_size` is 1.
    """

    def __init__(
        self,
        sharding: Sharding = Sharding(),
        gathering: Gathering = "gathered",
        rollout_limit_s: float | None = None,
        timeout_s: float = 1800.0,
        save_distributed_checkpoint: bool = False,
    ) -> None:
        """Describe the strategy.

        Args:
            sharding: how models are split, in which precision they compute, what is offloaded or computed twice.
            gathering: gathered: sampling gathers each model once per rollout, at the price of one whole copy per
                process meanwhile; streamed: once per token, for models that do not fit.
            rollout_limit_s: longest time of one rollout, s; null: none.
            timeout_s: how long a process waits for the others, s, before the run ends with a message; positive.
            save_distributed_checkpoint: true: every process writes its part, and a checkpoint is a folder; false:
                rank 0 writes a file, which any number of processes, and every other command, can read.

        """
        for name, value in (("rollout_limit_s", rollout_limit_s), ("timeout_s", timeout_s)):
            if value is not None and not value > 0:
                raise UserError(f"trainer.strategy.{name} must be positive, got {value}")
        super().__init__(
            tensor_parallel_size=1,
            save_distributed_checkpoint=save_distributed_checkpoint,
            timeout=timedelta(seconds=timeout_s),
        )
        self.sharding = sharding
        self.gathering: Gathering = gathering
        self.rollout_limit_s = rollout_limit_s

    def setup_environment(self) -> None:
        """Share parameters over all processes of all nodes."""
        # Lightning's "auto" would be the number of nodes: it leaves the processes of a node to tensor parallelism.
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()

    def save_checkpoint(self, checkpoint: dict[str, Any], filepath: _PATH, storage_options: Any = None) -> None:
        """Write such that a kill leaves the old checkpoint in place; a folder gets checksums (see `check_whole`)."""
        if not self._save_distributed_checkpoint:
            super().save_checkpoint(checkpoint, filepath, storage_options)
            return
        path = Path(self.broadcast(filepath))
        # All fill the folder beside the final one, under the name that `replacing` gives it; rank 0 renames it.
        writer = replacing(path) if self.is_global_zero else nullcontext(path.with_name(f".{path.name}.unfinished"))
        with writer as beside:
            self.barrier()  # rank 0 has cleared away what a kill left there
            super().save_checkpoint(checkpoint, beside, storage_options)
            self.barrier()  # all parts are written
            if self.is_global_zero:
                write_manifest(beside)
        self.barrier()

    def load_checkpoint(self, checkpoint_path: _PATH, weights_only: bool | None = None) -> dict[str, Any]:
        """Load, after rank 0 has checked that everything is as it was written."""
        damage = find_damage(Path(checkpoint_path)) if self.is_global_zero else None
        damage = self.broadcast(damage)
        if damage is not None:  # every rank raises: one that went on would wait for the others
            check_whole(Path(checkpoint_path))
            # What this rank reads is whole: another node may see the file system otherwise.
            raise UserError(f"ckpt_path must be a whole checkpoint, got {checkpoint_path}, where rank 0 finds {damage}")
        weights_only = weights_only is None or weights_only
        if is_sharded(Path(checkpoint_path)):
            check_no_code(Path(checkpoint_path))
        groups = None
        if self.optimizers:
            stored = _without_shards(Path(checkpoint_path), weights_only)
            check_has_state(stored)
            check_same(stored.get(OPTIMIZERS), self.optimizers)
            groups = _groups_without_state(stored)
        if groups is None:
            return super().load_checkpoint(checkpoint_path, weights_only=weights_only)
        # Hidden from Lightning, which then loads no optimizer state; the options are put in below.
        optimizers, self.optimizers = self.optimizers, []
        try:
            checkpoint = super().load_checkpoint(checkpoint_path, weights_only=weights_only)
        finally:
            self.optimizers = optimizers
        for optimizer, saved in zip(optimizers, groups, strict=True):
            for group, options in zip(optimizer.param_groups, saved, strict=True):
                group.update({name: value for name, value in options.items() if name != "params"})
        return checkpoint


def _without_shards(path: Path, weights_only: bool | None) -> Mapping[str, Any]:
    """Return what a checkpoint holds, of a folder what is not split over processes; weights stay on disk (mmap)."""
    source = path / SHARDED_METADATA if path.is_dir() else path
    stored: Mapping[str, Any] = torch.load(source, map_location="cpu", mmap=True, weights_only=weights_only)  # nosec B614 - weights_only is true
    return stored


def _groups_without_state(stored: Mapping[str, Any]) -> list[list[dict[str, Any]]] | None:
    """Return the options of optimizers none of which keeps anything per parameter (plain SGD), else None.

    Lightning takes the names of the optimizer's parameters from the state in a file, and fails where there is none.
    """
    states = stored.get("optimizer_states")
    if not states or any(state["state"] for state in states):
        return None
    return [state["param_groups"] for state in states]


StrategyRegistry.register("fsdp2", FSDP2Strategy, description="FSDP2 with this project's defaults", override=True)
