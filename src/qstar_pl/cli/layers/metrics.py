"""A method's default metrics, spelled out as a layer: `metrics+=` appends only to a list that a lower layer holds."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from qstar_pl.cli.layers.given import class_name
from qstar_pl.cli.signatures import imported, leaves, parameters


def default_metrics(model: Any) -> dict[str, Any]:
    """Return the layer of a method: its class path, and its metrics as they would be written in YAML.

    Args:
        model: a class, by its path or its name, or a mapping with its class_path.

    Returns:
        {} if there is no such class (which the parser will report), or it has no list of metrics.

    """
    from qstar_pl.methods import RLHFModule

    path = model.get("class_path") if isinstance(model, dict) else model
    found = imported(str(path))
    if found is None:
        found = next((leaf for leaf in leaves(RLHFModule) if leaf.__name__ == class_name(path)), None)
    if not (inspect.isclass(found) and issubclass(found, RLHFModule)):
        return {}
    path = _path(found)
    parameter = parameters(path).get("metrics")
    if parameter is None or not all(is_dataclass(metric) for metric in parameter.default):
        return {}
    return {"class_path": path, "init_args": {"metrics": _spelled(parameter.default)}}


def _spelled(metrics: Sequence[Any]) -> list[dict[str, Any]]:
    specs: list[dict[str, Any]] = []
    for metric in metrics:
        # Fields with init=False are no arguments, so a configuration cannot hold them.
        options = {one.name: getattr(metric, one.name) for one in fields(metric) if one.init}
        specs.append({"class_path": _path(type(metric)), **({"init_args": options} if options else {})})
    return specs


def _path(cls: type) -> str:
    """Return the shortest path by which a class can be imported: where it is exported, else where it is defined."""
    parts = cls.__module__.split(".")
    modules = (".".join(parts[:length]) for length in range(1, len(parts) + 1))
    where = next((one for one in modules if getattr(sys.modules.get(one), cls.__name__, None) is cls), cls.__module__)
    return f"{where}.{cls.__name__}"
