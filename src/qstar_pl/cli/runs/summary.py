"""The summary of a run's configuration, printed at its start; `RunReport` adds batch sizes and parameter counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def run_summary(command: str, config: Mapping[str, Any], folder: str | None) -> str:
    """Return the run folder, and the resolved model and data with every argument.

    Args:
        command: "fit", "validate", "test" or "predict".
        config: the resolved configuration of that command, as plain containers.
        folder: where the run is logged; None if nothing is written.

    """
    lines = [f"qstar {command}: {folder or 'nothing is written'}"]
    for part in ("model", "data"):
        spec = config.get(part) or {}
        lines.append(f"  {part}: {_short(spec.get('class_path', '?'))}")
        lines += [f"    {key}: {compact(value)}" for key, value in _given(spec.get("init_args"))]
    return "\n".join(lines)


def metric_lines(results: Sequence[Mapping[str, float]]) -> str:
    """Return the metrics of all loaders, one per line; a metric over several loaders is in each of their results."""
    merged = {key: value for result in results for key, value in result.items()}
    width = max((len(key) for key in merged), default=0)
    return "\n".join(f"  {key:<{width}}  {value:.6g}" for key, value in sorted(merged.items()))


def compact(value: Any) -> str:
    """Return a configuration value on one line, with short class names and without null values."""
    if isinstance(value, Mapping):
        if "class_path" in value:
            inner = ", ".join(f"{key}={compact(item)}" for key, item in _given(value.get("init_args")))
            return f"{_short(value['class_path'])}({inner})"
        return "{" + ", ".join(f"{key}: {compact(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(compact(item) for item in value) + "]"
    return str(value)


def _given(arguments: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    return [(key, value) for key, value in (arguments or {}).items() if value is not None]


def _short(class_path: str) -> str:
    return class_path.rpartition(".")[2]
