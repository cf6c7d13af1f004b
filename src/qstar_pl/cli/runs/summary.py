"""What a run is made of, printed at its start; `RunReport` adds what is known once models and data are loaded."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qstar_pl.cli.signatures import parameters
from qstar_pl.console import fact_lines
from qstar_pl.secrets import without_secrets

ALWAYS = ("policy", "target", "sampler", "reward", "optimizer")
"""Arguments of a method that are printed even if they are its defaults: what answers come from, and what is learned."""
_LAZY = "LazyInstance_"
"""How jsonargparse names the class of a default that is built when it is needed."""


def run_summary(command: str, config: Mapping[str, Any], folder: str | None, continued: str | None = None) -> str:
    """Return where the run is, its models, and every argument of model and data that is not the default.

    Args:
        command: "fit", "validate", "test" or "predict".
        config: the resolved configuration of that command, as plain containers.
        folder: where the run is logged; None if nothing is written.
        continued: the checkpoint that it starts from.

    """
    where = "nothing is written" if folder is None else f"{folder} (all settings: config.yaml there)"
    model, data = config.get("model") or {}, config.get("data") or {}
    path = model.get("class_path", "?")
    given = _given(model.get("init_args"))
    changed = dict(_changed(path, given))
    parts = {name: given[name] for name in ALWAYS if name in given}
    parts |= {name: value for name, value in changed.items() if _is_class(value)}
    facts = {} if continued is None else {"from": continued}
    facts["method"] = compact({"class_path": path, "init_args": {k: v for k, v in changed.items() if k not in parts}})
    facts |= {name: compact(value) for name, value in parts.items()}
    own = dict(_changed(data.get("class_path", "?"), _given(data.get("init_args"))))
    if own:  # what became of the rows is said once they are read
        facts["data"] = ", ".join(f"{name}={compact(value)}" for name, value in own.items())
    return without_secrets("\n".join([f"qstar {command}: {where}", *fact_lines(facts)]))


def metric_lines(results: Sequence[Mapping[str, float]]) -> str:
    """Return what was measured by all loaders, one per line; a metric over several loaders is in each of their results.

    What training had cost, which is logged beside it, is left out.
    """
    measured = ("val/", "test/")
    merged = {key: value for result in results for key, value in result.items() if key.startswith(measured)}
    width = max((len(key) for key in merged), default=0)
    return "\n".join(f"  {key:<{width}}  {value:.4g}" for key, value in sorted(merged.items()))


def compact(value: Any) -> str:
    """Return a configuration value on one line, with short class names, without null values and numbers by default."""
    if _is_class(value):
        path, arguments = value["class_path"], _given(value.get("init_args"))
        changed = dict(_changed(path, arguments))
        shown = {name: item for name, item in arguments.items() if name in changed or _is_class(item)}
        inner = ", ".join(f"{name}={compact(item)}" for name, item in shown.items())
        return f"{_short(path)}({inner})" if inner else _short(path)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {compact(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(compact(item) for item in value) + "]"
    return str(value)


def _changed(path: str, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the arguments that differ from the defaults of the class at a path; all if it cannot be imported."""
    known = parameters(path)
    for name, value in arguments.items():
        if name not in known or not _equal(value, known[name].default):
            yield name, value


def _equal(value: Any, default: Any) -> bool:
    """Return whether a configured value describes the same as a default, which may be an object."""
    if default is inspect.Parameter.empty:
        return False
    if _is_class(value):
        path, own = value["class_path"], parameters(value["class_path"])
        if _short(path) != type(default).__name__.removeprefix(_LAZY):
            return False
        # A default that is built later, or a module, does not hold its arguments: those of its class count then.
        return all(
            _equal(item, getattr(default, name, None) if _holds(default, name) else own[name].default)
            for name, item in _given(value.get("init_args")).items()
            if name in own
        )
    if isinstance(value, list):
        if not isinstance(default, list | tuple):
            return False
        return len(value) == len(default) and all(map(_equal, value, default))
    return bool(value == default)


def _holds(default: Any, name: str) -> bool:
    return name in getattr(default, "__dict__", {})


def _is_class(value: Any) -> bool:
    return isinstance(value, Mapping) and "class_path" in value


def _given(arguments: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (arguments or {}).items() if value is not None}


def _short(class_path: str) -> str:
    return class_path.rpartition(".")[2]
