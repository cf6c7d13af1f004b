"""Checkpoints that a kill cannot spoil, and that say so when something else has."""

from qstar_pl.checkpoints.atomic import AtomicCheckpointIO as AtomicCheckpointIO
from qstar_pl.checkpoints.damage import check_whole as check_whole
