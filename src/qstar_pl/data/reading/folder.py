"""Which files of a folder hold the rows that are asked for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from qstar_pl.data.wording import announce
from qstar_pl.errors import UserError

_ABOUT = ("dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", "croissant.json")
"""What the hub and `save_to_disk` write beside the data."""
MOST = 50_000
"""Files and folders below a dataset's folder; a home folder or the root of a disk has more, and was hardly meant."""
_SPLITS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "eval"),
    "test": ("test", "testing"),
}


def folder_files(root: Path, configuration: str | None, split: str | None, suffixes: Sequence[str]) -> list[Path]:
    """Return the data files of a folder, in the order of their names.

    A copy of a hub dataset says in its README.md which files make up which configuration and split; elsewhere a split
    is a word in a file's path ("valid" and "val" are "validation"). Without `split`, the files of train are read, and a
    line says so, where the files tell splits apart and one of them is train; else all files are.

    Raises:
        UserError: if there are none, or the configuration must be named.

    """
    files = sorted(file for file in _below(root) if _is_data(file.relative_to(root), suffixes) and file.is_file())
    listed = _configured(root, files, configuration)
    if listed is not None:
        return _of_split({name: found for name, found in listed.items() if found}, split, root)
    if split is not None:
        # The word itself before its synonyms: "val" beside "validation" is a split of its own.
        named = [file for file in files if split in _words(file.relative_to(root))]
        same = [file for file in files if split_of(file.relative_to(root)) == _canonical(split)]
        files = named or same
    if not files:
        of = "" if split is None else f" with the word {split!r} in its path"
        raise UserError(f"path must hold a {', '.join(suffixes)} file{of}, got {root}")
    if split is not None:
        return files
    splits: dict[str, list[Path]] = {}
    for file in files:
        splits.setdefault(split_of(file.relative_to(root)) or "", []).append(file)
    return _of_split(splits, None, root) if "train" in splits and len(splits) > 1 else files


def _below(root: Path) -> Iterator[Path]:
    """Yield everything below a folder, as long as it is as much as a dataset may be."""
    count = 0
    # Not rglob, which raises when a folder is removed while it looks.
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            count += 1
            if count > MOST:
                raise UserError(
                    f"path must be a file, or a folder with at most {MOST:,} files and folders below it, got {root}, "
                    "which has more"
                )
            yield Path(folder, name)


def split_of(path: Path) -> str | None:
    """Return the split that the words of a path name, the file's own before its folders'."""
    for part in reversed(path.parts):
        for word in _words(Path(part)):
            if (found := _canonical(word)) is not None:
                return found
    return None


def _canonical(word: str) -> str | None:
    return next((split for split, words in _SPLITS.items() if word.lower() in words), None)


def _words(path: Path) -> list[str]:
    return re.split(r"[^A-Za-z0-9]+", str(path))


def _is_data(path: Path, suffixes: Sequence[str]) -> bool:
    hidden = any(part.startswith(".") for part in path.parts)
    # `datasets` keeps results of `map` beside the rows, as cache-….arrow.
    about = path.name in _ABOUT or (path.name.startswith("cache-") and path.suffix == ".arrow")
    return path.name.endswith(tuple(suffixes)) and not hidden and not about


def _of_split(splits: Mapping[str, list[Path]], split: str | None, root: Path) -> list[Path]:
    if split is not None:
        for name, files in splits.items():
            if split == name or (_canonical(split) is not None and _canonical(split) == _canonical(name)):
                return files
        raise UserError(f"split must be one of {', '.join(splits)} in {root}, got {split}")
    if len(splits) == 1:
        return next(iter(splits.values()))
    if "train" not in splits:
        raise UserError(f"split must be one of {', '.join(splits)} in {root}, got none")
    others = ", ".join(name or "files of no split" for name in splits if name != "train")
    _say(f"Data: {root}: the split train is read; there is {others} too (--data.split)")
    return splits["train"]


def _configured(root: Path, files: Sequence[Path], wanted: str | None) -> dict[str, list[Path]] | None:
    """Return the files of each split as the README's metadata have it; None where it has nothing on these files."""
    configurations = {str(one.get("config_name", "default")): one for one in _metadata(root)}
    listed = {
        name: {split: _matching(root, files, paths) for split, paths in _patterns(one.get("data_files"))}
        for name, one in configurations.items()
    }
    present = {name: splits for name, splits in listed.items() if any(splits.values())}
    if wanted is not None:
        if not present:
            raise UserError(
                f"path must be {root} alone, since it has no configurations, got {root}:{wanted}; "
                f"--data.split={wanted} names a split"
            )
        if wanted not in present:
            known = ", ".join(present) or "none"
            raise UserError(f"path must name a configuration of {root} behind the colon: {known}; got {wanted}")
        return present[wanted]
    if len(present) <= 1:
        return next(iter(present.values()), None)
    default = [name for name in present if configurations[name].get("default") or name == "default"]
    if not default:
        raise UserError(
            f"path must name a configuration behind a colon, as in {root}:{next(iter(present))}; "
            f"there are {', '.join(present)}"
        )
    _say(f"Data: {root}: the configuration {default[0]} is read; there are {', '.join(present)} ({root}:NAME)")
    return present[default[0]]


@lru_cache
def _say(text: str) -> None:
    """Print a line once, though the same folder is read for detection and then for training."""
    announce(text)


def _metadata(root: Path) -> list[Mapping[str, Any]]:
    readme = root / "README.md"
    if not readme.is_file():
        return []
    parts = re.split(r"^---[ \t]*$", readme.read_text(encoding="utf-8", errors="replace"), maxsplit=2, flags=re.M)
    if len(parts) < 3 or parts[0].strip():
        return []
    try:
        found = yaml.safe_load(parts[1])
    except (yaml.YAMLError, RecursionError, ValueError):
        return []
    configurations = found.get("configs") if isinstance(found, Mapping) else None
    return [one for one in configurations if isinstance(one, Mapping)] if isinstance(configurations, list) else []


def _patterns(data_files: Any) -> list[tuple[str, list[str]]]:
    if isinstance(data_files, str):
        return [("train", [data_files])]
    if isinstance(data_files, Mapping):
        return [(str(split), _strings(paths)) for split, paths in data_files.items()]
    if not isinstance(data_files, list):
        return []
    if all(isinstance(one, str) for one in data_files):
        return [("train", data_files)]
    return [
        (str(one.get("split", "train")), _strings(one.get("path"))) for one in data_files if isinstance(one, Mapping)
    ]


def _strings(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(one) for one in value or []]


def _matching(root: Path, files: Sequence[Path], patterns: Sequence[str]) -> list[Path]:
    found: set[Path] = set()
    for pattern in patterns:
        try:
            if ".." in Path(pattern).parts:
                raise ValueError
            found |= {file.resolve() for file in root.glob(pattern)}
        # Of "" and ".", of a**, of /etc/* and of links in a ring; pathlib has an exception for each.
        except (ValueError, IndexError, OSError, RuntimeError) as error:
            raise UserError(
                f"path must hold a README.md that names files of its folder, got {root} with {pattern!r}"
            ) from error
    # Resolved, for the hub's cache holds links; and only what `files` holds, which is data and lies in the folder.
    return [file for file in files if file.resolve() in found]
