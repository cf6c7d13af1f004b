"""From which distribution should RLHF sample? Lightning training with exact sampling distributions."""

from importlib import import_module as _import_module
from typing import Any as _Any

__version__ = "0.1.0"


def __getattr__(name: str) -> _Any:
    """Give `QStarGenerator` on demand: it brings transformers and Lightning, and `import qstar_pl` stays light."""
    if name == "QStarGenerator":
        return _import_module("qstar_pl.generation").QStarGenerator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
