"""The configurations that come with the package, found by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from qstar_pl.cli.words import with_values
from qstar_pl.errors import UserError

FOLDER = Path(__file__).resolve().parents[1] / "configs"
"""One folder per replaceable part; those in `experiment` put parts together."""
PREFIX, SUFFIX = "configs/", ".yaml"
CONFIG = ("-c", "--config")
EXPERIMENTS = "experiments"
"""The folder of matrices over many runs, which are values of no option."""
_VARIANT = re.compile(r"^(?:tiny|full):", re.MULTILINE)
"""A key of experiments that no run has."""
_GROUP_OF = {"model": "method"}
"""Option → the folder of its configurations, where that is called otherwise."""


def names() -> list[str]:
    """Return the names of all of them, such as experiment/quickstart."""
    return sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob(f"*{SUFFIX}"))


def check_one_run(config: Path) -> None:
    """Refuse an experiment's file where the configuration of one run is asked for; what cannot be read passes.

    Raises:
        UserError: with the command that runs it.

    """
    try:
        text = config.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return
    if _VARIANT.search(text):
        name = config.stem if config.parent == FOLDER / EXPERIMENTS else config
        raise UserError(f"config must be of one run, got {config}, an experiment of many: qstar experiment {name}")


def configuration(value: str | Path) -> Path:
    """Return the file that `value` names: a file of the user's, or a configuration of the package.

    Args:
        value: a path, which takes precedence, or a name with or without "configs/" and ".yaml".

    Raises:
        UserError: if there is neither; names the closest configuration.

    """
    path = Path(value)
    if path.is_file():
        return path
    if (shipped := _shipped(str(value))) is not None:
        return shipped
    near = _near(str(value))
    hint = f"; did you mean {near[0]}?" if near else ""
    got = f"the folder {value}" if value and path.is_dir() else value or "nothing"
    raise UserError(f"config must be a file, or one of those that `qstar configs` lists, got {got}{hint}")


def with_configurations(words: Sequence[str]) -> list[str]:
    """Return a command line with names of the package's configurations replaced by their files.

    After `--config` the name is enough, and so it is where the option is the one that the folder is made for
    (`--trainer trainer/ddp`, `--model.sampler=sampler/q_star`). Elsewhere it must end in .yaml, since a name without
    could mean something else. A value that is a file, or no configuration of the package, is left alone.

    Raises:
        UserError: if the value of `--config` is an experiment, or neither but much like a name.

    """
    return with_values(words, _resolved)


def _resolved(option: str, value: str) -> str:
    found = _found(option, value)
    if option in CONFIG:
        check_one_run(Path(found))
    return found


def _found(option: str, value: str) -> str:
    if not (value.endswith(SUFFIX) or option in CONFIG or _of_its_folder(option, value)) or Path(value).exists():
        return value
    shipped = _shipped(value)
    if shipped is None and option in CONFIG and _near(value):
        configuration(value)  # raises, and names the closest one
    return value if shipped is None else str(shipped)


def _of_its_folder(option: str, value: str) -> bool:
    part = option.lstrip("-").removesuffix("+").rpartition(".")[2]
    return _name(value).startswith(f"{_GROUP_OF.get(part, part)}/")


def _near(value: str) -> list[str]:
    return get_close_matches(_name(value), names(), n=1, cutoff=0.5)


def _shipped(value: str) -> Path | None:
    name = _name(value)
    return FOLDER / f"{name}{SUFFIX}" if name in names() else None


def _name(value: str) -> str:
    return value.removeprefix("./").removeprefix(PREFIX).removesuffix(SUFFIX)
