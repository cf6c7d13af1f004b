"""Optimizers and learning-rate schedules that torch does not have; for `optimizer` and `lr_scheduler`."""

from qstar_pl.optim.adamw8bit import AdamW8bit as AdamW8bit
from qstar_pl.optim.lion import Lion as Lion
from qstar_pl.optim.schedules import ConstantWithWarmup as ConstantWithWarmup
from qstar_pl.optim.schedules import CosineWithWarmup as CosineWithWarmup
from qstar_pl.optim.schedules import LinearWithWarmup as LinearWithWarmup
