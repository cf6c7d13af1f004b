"""Generated datasets: answers from π_θ and π_t to a dataset's prompts, with resume, and their analysis."""

from typing import TYPE_CHECKING as TYPE_CHECKING

from qstar_pl.on_demand import on_demand as on_demand

if TYPE_CHECKING:
    from qstar_pl.generation.public import *  # noqa: F403
else:
    __getattr__, __dir__ = on_demand(__name__, __file__)
