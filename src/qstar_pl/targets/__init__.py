"""Targets π_t: the behaviour we want, as a strategy."""

from qstar_pl.targets.expert import Expert as Expert
from qstar_pl.targets.target import Target as Target
