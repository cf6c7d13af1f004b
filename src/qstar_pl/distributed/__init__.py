"""Sharded training: how models are spread over processes, and how they generate while they are."""

from qstar_pl.distributed.generation import generating as generating
from qstar_pl.distributed.sharding import Sharding as Sharding
from qstar_pl.distributed.strategy import FSDP2Strategy as FSDP2Strategy
