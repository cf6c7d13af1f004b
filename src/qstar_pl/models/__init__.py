"""Where models come from, what they say about the next token, and the heads that go on top of them."""

from typing import TYPE_CHECKING as TYPE_CHECKING

from qstar_pl.models.freeze import freeze as freeze
from qstar_pl.on_demand import on_demand as on_demand

if TYPE_CHECKING:
    from qstar_pl.models.public import *  # noqa: F403
else:
    __getattr__, __dir__ = on_demand(__name__, __file__)
