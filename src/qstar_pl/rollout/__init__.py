"""From prompts to answers: laws over next tokens and the decode engine."""

from typing import TYPE_CHECKING as TYPE_CHECKING

from qstar_pl.on_demand import on_demand as on_demand

if TYPE_CHECKING:
    from qstar_pl.rollout.public import *  # noqa: F403
else:
    __getattr__, __dir__ = on_demand(__name__, __file__)
