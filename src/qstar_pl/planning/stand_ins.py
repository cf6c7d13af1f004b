"""Models of the hub, and checkpoints that are still to be trained, as shapes: a plan needs no network."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from qstar_pl.errors import UserError
from qstar_pl.models import FromCheckpoint, Pretrained
from qstar_pl.models.source import ModelSource
from qstar_pl.models.tiny import belongs_to_package
from qstar_pl.planning.known_shape import as_node
from qstar_pl.planning.shapes import Shape, known_shapes, read_shape

WAYS = "a folder, a config.json or a model that is known, such as meta-llama/Llama-2-7b-hf"
"""What --shape takes, for messages."""


def put_stand_ins(method: Namespace, given: Mapping[str, Shape]) -> list[str]:
    """Put shapes in the place of models in a method's configuration; return what a reader must know about them.

    Nothing is replaced where every model is there: embedded, in a folder, or in a checkpoint that leads to one. As soon
    as one is not, those in folders become shapes too, and all share a tokenizer, so vocabularies are not compared.

    Args:
        method: {class_path, init_args} as parsed; changed in place.
        given: name or path, as the configuration says it → shape.

    Raises:
        UserError: if the shape of a model is not known; it says how to give it.

    """
    for _, node in list(_sources(method)):
        if _kind(node) is FromCheckpoint and not _is_absent(node) and node.init_args.base is None:
            _name_base(node)
    sources = list(_sources(method))
    if not any(_is_absent(node) for _, node in sources):
        return []
    for place, node in sources:
        if _kind(node) is Pretrained and not belongs_to_package(node.init_args.name):
            _become(node, as_node(_shape_of(place, node.init_args, given), vars(node.init_args), place))
    notices = []
    # After the models of the hub, so that what is still to be trained can take the policy's shape.
    for place, node in sources:
        if _kind(node) is FromCheckpoint and _is_absent(node):
            path = node.init_args.path
            if path in given:
                _become(node, as_node(given[path], {}, place))
                continue
            _become(node, _like_the_policy(method, place, path))
            notices.append(f"{place}: {path} is not there yet, so it is planned as large as the policy")
    return notices


def _sources(node: Any) -> Iterator[tuple[str, Namespace]]:
    """Yield (option, node) of every `Pretrained` and `FromCheckpoint` in a configuration."""
    for place, found, _ in sources_in(node):
        yield place, found


def sources_in(node: Any, place: str = "model", owner: Any = None) -> Iterator[tuple[str, Namespace, Any]]:
    """Yield (option, node, class whose argument it is) of every `Pretrained` and `FromCheckpoint` in a configuration.

    Args:
        node: of a configuration as parsed: a class with its arguments, or a list of such.
        place: the option that it is the value of.
        owner: the class whose argument it is; None: nobody's.

    """
    if isinstance(node, list):
        for one in node:
            yield from sources_in(one, place, owner)
    elif isinstance(node, Namespace) and "class_path" in node:
        kind = _kind(node)
        if kind in (Pretrained, FromCheckpoint):
            yield place, node, owner
        for name, value in vars(node.get("init_args", Namespace())).items():
            yield from sources_in(value, f"{place}.{name}", kind)


def _kind(node: Namespace) -> Any:
    module, _, name = node.class_path.rpartition(".")
    return getattr(importlib.import_module(module), name, None)


def _is_absent(node: Namespace) -> bool:
    """Return whether a model is neither in the package nor on the disk."""
    if _kind(node) is FromCheckpoint:
        return not Path(node.init_args.path).exists()
    return not (belongs_to_package(node.init_args.name) or Path(node.init_args.name).is_dir())


def _name_base(node: Namespace) -> None:
    """Write where the model of a checkpoint came from into the configuration, if that is not on the disk."""
    base = _as_configured(FromCheckpoint(**vars(node.init_args)).source())
    if any(_is_absent(inner) for _, inner in _sources(base)):
        node.init_args.base = base


def _as_configured(value: Any) -> Any:
    if not isinstance(value, ModelSource):
        return value
    kind = type(value)
    options = {one.name: _as_configured(getattr(value, one.name)) for one in fields(value) if one.init}  # type: ignore[arg-type]
    return Namespace(class_path=f"{kind.__module__}.{kind.__qualname__}", init_args=Namespace(**options))


def _become(node: Namespace, other: Mapping[str, Any]) -> None:
    node.class_path = other["class_path"]
    node.init_args = Namespace(**copy.deepcopy(dict(other["init_args"])))


def _shape_of(place: str, options: Namespace, given: Mapping[str, Shape]) -> Shape:
    name = options.name
    if name in given:
        return given[name]
    if Path(name).is_dir():
        return read_shape(Path(name), f"{place}.name")
    if name in known_shapes():
        return known_shapes()[name]
    try:
        return dict(Pretrained(**vars(options)).configuration().to_dict())
    except UserError as error:
        raise UserError(
            f"{place}.name must be a folder, or a model whose shape is known or can be read from the hub, got {name}; "
            f"--shape {name}=SHAPE gives it: {WAYS}"
        ) from error


def _like_the_policy(method: Namespace, place: str, path: str) -> dict[str, Any]:
    policy = method.init_args.get("policy") or method.init_args.model
    while "base" in policy.get("init_args", {}) and policy.init_args.base is not None:
        policy = policy.init_args.base
    if _kind(policy) is FromCheckpoint:
        raise UserError(
            f"{place}.path must be there, or the shape of its model be given, got {path!r}; --shape {path}=SHAPE gives "
            f"it: {WAYS}"
        )
    return {"class_path": policy.class_path, "init_args": vars(policy.init_args)}
