"""The defaults of a class's arguments, read from its source: importing it may take many seconds.

Only what can be said without running code counts: literals, constants, and objects and lists made of those
(`PolicySampler()`, `lazy_instance(GoldReward)`, `POLICY_METRICS`). Of everything else the default is unknown.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

WRAPPERS = ("lazy_instance",)
"""Functions whose first argument is the class of a default, and whose keywords are its arguments."""
DEEPEST = 8
"""Most modules that hand a name on to each other."""


def differing(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return those arguments of a configured class that are not known to be its defaults.

    Args:
        spec: class_path and init_args, as in a run's config.yaml.

    """
    return _differing(defaults_of(str(spec.get("class_path"))), spec.get("init_args"))


@cache
def defaults_of(class_path: str) -> Mapping[str, Any]:
    """Return the known defaults by argument; objects as in a configuration, with class_path (a name) and init_args."""
    module, _, name = class_path.rpartition(".")
    found = _find(module, name)
    if found is None:
        return {}
    home, node = found
    own = dict(_known(home, _parameters(node)))
    if (initialize := _initialize(node)) is not None and initialize.args.kwarg is None:
        return own
    above: dict[str, Any] = {}
    for base in node.bases:
        if isinstance(base, ast.Name):
            above = {**defaults_of(f"{home}.{base.id}"), **above}
    return {**above, **own}


def shown(value: Any) -> str:
    """Return a configured value on one line: classes by their short names, without arguments at their defaults."""
    if isinstance(value, Mapping):
        if "class_path" in value:
            inner = ", ".join(f"{key}={shown(item)}" for key, item in differing(value).items())
            name = str(value["class_path"]).rpartition(".")[2]
            return f"{name}({inner})" if inner else name
        return "{" + ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _differing(defaults: Mapping[str, Any], given: Any) -> dict[str, Any]:
    arguments = given if isinstance(given, Mapping) else {}
    return {key: value for key, value in arguments.items() if key not in defaults or not _same(defaults[key], value)}


def _same(default: Any, value: Any) -> bool:
    if isinstance(default, list | tuple) and isinstance(value, list):  # YAML has no tuples
        return len(default) == len(value) and all(map(_same, default, value))
    if not (isinstance(default, Mapping) and isinstance(value, Mapping) and "class_path" in default):
        return bool(default == value)
    # The default names the class as its module does, a configuration by a path.
    if str(value.get("class_path")).rpartition(".")[2] != default["class_path"].rpartition(".")[2]:
        return False
    inner = {**defaults_of(default["class_path"]), **default["init_args"]}
    return not _differing(inner, value.get("init_args"))


def _initialize(node: ast.ClassDef) -> ast.FunctionDef | None:
    return next((one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)


def _parameters(node: ast.ClassDef) -> list[tuple[str, ast.expr | None]]:
    """Return the names and defaults of a class's own `__init__`, or the fields of a dataclass."""
    if (initialize := _initialize(node)) is None:
        fields = [one for one in node.body if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)]
        return [(one.target.id, one.value) for one in fields if isinstance(one.target, ast.Name)]
    arguments = initialize.args
    missing: list[ast.expr | None] = [None] * (len(arguments.args) - len(arguments.defaults))
    placed = zip(arguments.args, [*missing, *arguments.defaults], strict=True)
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return [(argument.arg, default) for argument, default in [*list(placed)[1:], *named]]  # without self


def _known(module: str, parameters: list[tuple[str, ast.expr | None]]) -> Iterator[tuple[str, Any]]:
    for name, default in parameters:
        if default is not None:
            with suppress(ValueError):
                yield name, _value(default, module)


def _value(node: ast.expr, module: str) -> Any:
    """Return what an expression in a module gives; raises ValueError where only running it would tell."""
    match node:
        case ast.Name():
            home, constant = _constant(module, node.id)
            return _value(constant, home)
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            listed = list[Any]()
            for one in elements:
                listed += _value(one.value, module) if isinstance(one, ast.Starred) else [_value(one, module)]
            return listed
        case ast.Lambda(body=ast.Call(func=ast.Attribute() as function, keywords=keywords)):
            # What still takes parameters, such as an optimizer, stands in a configuration as its class.
            inner = {one.arg: _value(one.value, module) for one in keywords if one.arg is not None}
            return {"class_path": ast.unparse(function), "init_args": inner}
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            if name in WRAPPERS and args and isinstance(args[0], ast.Name):
                name, args = args[0].id, args[1:]
            found = _find(module, name)
            if found is None:
                raise ValueError(f"{name} is no class")
            inner = {one.arg: _value(one.value, module) for one in keywords if one.arg is not None}
            order = [one for one, _ in _parameters(found[1])]
            inner |= {one: _value(argument, module) for one, argument in zip(order, args, strict=False)}
            return {"class_path": f"{found[0]}.{found[1].name}", "init_args": inner}
    return ast.literal_eval(node)


def _constant(module: str, name: str) -> tuple[str, ast.expr]:
    """Return where a module's constant is assigned, and what; raises ValueError if it is none."""
    found = _definition(module, name)
    if found is None or not isinstance(found[1], ast.expr):
        raise ValueError(f"{name} is no constant")
    return found[0], found[1]


def _find(module: str, name: str) -> tuple[str, ast.ClassDef] | None:
    """Return the module that defines a class, and the class; None if there is none."""
    found = _definition(module, name)
    return (found[0], found[1]) if found is not None and isinstance(found[1], ast.ClassDef) else None


def _definition(module: str, name: str, depth: int = 0) -> tuple[str, ast.ClassDef | ast.expr] | None:
    """Return the module that a name of a module comes from, and the class or the assigned expression."""
    tree, is_package = _tree(module)
    for node in _statements(tree.body) if depth < DEEPEST else []:
        match node:
            case ast.ClassDef(name=target) if target == name:
                return module, node
            case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                return module, value
            case ast.AnnAssign(target=ast.Name(id=target), value=value) if target == name and value is not None:
                return module, value
            case ast.ImportFrom(names=names):
                handed_on = [one.name for one in names if (one.asname or one.name) == name]
                for other in handed_on + [name for one in names if one.name == "*"]:
                    if (found := _definition(_absolute(node, module, is_package), other, depth + 1)) is not None:
                        return found
    return None


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield a module's statements, those below `if TYPE_CHECKING:` and the like among them."""
    for node in body:
        if isinstance(node, ast.If):
            yield from _statements([*node.body, *node.orelse])
        else:
            yield node


def _absolute(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    if node.level == 0:
        return node.module or ""
    parts = module.split(".")
    base = parts[: len(parts) - node.level + is_package]
    return ".".join([*base, *([node.module] if node.module else [])])


@cache
def _tree(module: str) -> tuple[ast.Module, bool]:
    """Return a module's syntax and whether it is a package; an empty one if its source is not found."""
    path = _source(module)
    try:
        return (ast.Module([], []), False) if path is None else (ast.parse(path.read_bytes()), path.stem == "__init__")
    except (OSError, SyntaxError, ValueError):
        return ast.Module([], []), False


def _source(module: str) -> Path | None:
    # By hand, part by part: `importlib.util.find_spec` imports the packages that a module lies in.
    places, origin = None, None
    for part in module.split("."):
        spec = PathFinder.find_spec(part, places) if part else None
        if spec is None:
            return None
        places, origin = spec.submodule_search_locations, spec.origin
    return Path(origin) if origin is not None and origin.endswith(".py") else None
