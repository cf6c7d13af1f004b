"""Units of logged metrics, as axes name them."""

from __future__ import annotations

import re

_STEP = "step"
_UNITS = (
    (r"kl[/_].+", "nats"),
    (r"logps/.+", "nats"),
    (r"tokens/per_s", "tokens/s"),
    (r"tokens/.+", "tokens"),
    (r"generated/total", "tokens"),
    (r"samples/total", "samples"),
    (r"time/.+_s", "s"),
    (r"memory/.+_gb", "GB"),
)
"""(metric, below val/ or test/ too; unit): the first that fits counts."""


def with_unit(key: str) -> str:
    """Return a metric's name with its unit where that is known: "time/wall_s, s"; "step" is the optimizer's."""
    if key == _STEP:
        return "optimizer step"
    bare = re.sub(r"^(?:val|test)/", "", key)
    unit = next((unit for pattern, unit in _UNITS if re.fullmatch(pattern, bare)), None)
    return key if unit is None else f"{key}, {unit}"
