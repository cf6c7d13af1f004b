"""`trainer.strategy: fsdp2`, Lightning's strategy with all that this project needs of sharding."""

from __future__ import annotations

from datetime import timedelta

from lightning.pytorch.strategies import ModelParallelStrategy, StrategyRegistry

from qstar_pl.distributed.generation import Gathering
from qstar_pl.distributed.sharding import Sharding
from qstar_pl.errors import UserError


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
            sharding: how models are split, in which precision they compute, what is off-loaded or computed twice.
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
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()


StrategyRegistry.register("fsdp2", FSDP2Strategy, description="FSDP2 with this project's defaults", override=True)
