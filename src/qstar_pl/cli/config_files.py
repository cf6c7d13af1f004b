"""YAML files of options: read with file and line of a mistake, and without a name that is given twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from qstar_pl.cli.shipped import CONFIG, configuration
from qstar_pl.cli.words import options
from qstar_pl.errors import UserError


class _Loader(yaml.SafeLoader):
    """YAML's own rule, which PyYAML does not check: a mapping has a key once. It would take the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        first = dict[str, int]()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            line = key.start_mark.line + 1
            if key.value in first:
                problem = f"{key.value} is given twice, first in line {first[key.value]}"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            first[key.value] = line
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return a YAML file's mapping; empty if there is no such file, which the parser will report.

    Raises:
        UserError: if it is not valid (with file and line), or holds no mapping.

    """
    try:
        loaded = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # nosec B506 - a SafeLoader
    except OSError:
        return {}
    except UnicodeDecodeError as error:
        raise UserError(f"{path} must be a YAML file, got something that is not text") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark is not None else str(path)
        raise UserError(f"{where} is not valid YAML: {getattr(error, 'problem', error)}") from error
    if loaded is not None and not isinstance(loaded, dict):
        kind = "a list" if isinstance(loaded, list) else "a single value"
        raise UserError(f"{path} must hold options and their values, name: value on each line, got {kind}")
    return loaded or {}


def check_config_files(words: Sequence[str]) -> None:
    """Check what --config names before jsonargparse reads it, which does not say which file is wrong, or where.

    Raises:
        UserError: if there is no such file, it is not valid, or holds nothing.

    """
    for one in options(words):
        if one.name not in CONFIG or one.value is None or one.value.lstrip().startswith("{"):
            continue  # in braces: the options themselves
        path = configuration(one.value)
        if not read_yaml(path):
            raise UserError(f"{path} must hold options and their values, name: value on each line, got nothing")
