"""Reading a checkpoint that anybody may have written: it must be whole, hold no code, and have the right form."""

from __future__ import annotations

import math
import pickle  # nosec B403 - for the name of an exception
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from qstar_pl.checkpoints.damage import MANIFEST, SHARDED_METADATA, check_whole
from qstar_pl.checkpoints.sharded import METADATA, check_no_code, is_sharded, load_folder
from qstar_pl.errors import UserError


def read_checkpoint(path: Path, argument: str = "ckpt_path") -> Mapping[str, Any]:
    """Return what a checkpoint holds; the tensors of a file stay on disk until they are used (mmap).

    Args:
        path: a .ckpt file, or the folder of a sharded one.
        argument: the name under which the user gave it.

    Raises:
        UserError: if there is none, it is damaged, there is code in it, or it is not of a checkpoint's form.

    """
    _check_exists(path, argument)
    check_whole(path, argument)
    contents = load_folder(path, argument) if path.is_dir() else _load(path, argument)
    if "state_dict" not in contents:
        raise UserError(f"{argument} must be a Lightning checkpoint, got {path}, which has no state_dict")
    _check_form(contents, path, argument)
    return contents


def read_settings(path: Path, argument: str = "ckpt_path", *, check: bool = True) -> Mapping[str, Any]:
    """Return what a checkpoint holds beside its tensors, of a file the tensors too; see `read_checkpoint`.

    The shards of a folder are not read; whoever loads them checks them.

    Args:
        path: a .ckpt file, or the folder of a sharded one.
        argument: the name under which the user gave it.
        check: whether to check that it is whole; of many processes one is enough.

    """
    if not (path / SHARDED_METADATA).is_file():  # a folder with it has all that is read here
        _check_exists(path, argument)
    if check:
        check_whole(path, argument, only=(SHARDED_METADATA, METADATA, MANIFEST))
    if path.is_dir():
        if is_sharded(path):
            check_no_code(path, argument)
        if not (path / SHARDED_METADATA).is_file():  # tensors alone
            return {}
    contents = _load(path / SHARDED_METADATA if path.is_dir() else path, argument)
    _check_form(contents, path, argument)
    return contents


def _check_exists(path: Path, argument: str) -> None:
    if not path.exists():
        raise UserError(f"{argument} must name a checkpoint that exists, got {path}")
    if path.is_dir() and not is_sharded(path):
        raise UserError(f"{argument} must be a Lightning checkpoint, got the folder {path}, in which there is none")
    if not path.is_dir() and (not path.is_file() or path.open("rb").read(2) != b"PK"):  # a zip archive's
        raise UserError(f"{argument} must be a Lightning checkpoint, got {path}, which cannot be read as one")


def _load(source: Path, argument: str) -> Mapping[str, Any]:
    try:
        contents = torch.load(source, weights_only=True, map_location="cpu", mmap=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{argument} must be a Lightning checkpoint without code in it, got {source}: {_reason(error)}"
        ) from error
    except Exception as error:  # the archive is whole, so somebody made it so; torch raises a dozen types
        raise UserError(
            f"{argument} must be a Lightning checkpoint, got {source}, which cannot be read as one: {_reason(error)}"
        ) from error
    if not isinstance(contents, Mapping):
        raise UserError(
            f"{argument} must be a Lightning checkpoint, got {source}, which holds a {type(contents).__name__}"
        )
    return contents


def _reason(error: BaseException) -> str:
    # torch writes a page around the one line that names the class it refuses.
    lines = [line for line in str(error).splitlines() if line.strip()]
    told = next((line for line in lines if "Unsupported" in line or "GLOBAL" in line), lines[0] if lines else "")
    return told.strip() or type(error).__name__


def _is_count(value: Any) -> bool:
    # In Python a bool is an int too.
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62


def _is_coefficient(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _is_named(value: Any, part: Callable[[Any], bool] = lambda _: True) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) and part(one) for key, one in value.items())


def _is_list(value: Any, part: Callable[[Any], bool]) -> bool:
    return isinstance(value, list | tuple) and all(map(part, value))


def _is_optimizer(value: Any) -> bool:
    return _is_named(value) and isinstance(value.get("state"), Mapping) and "param_groups" in value


_FORM: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "state_dict": (lambda v: _is_named(v, lambda one: isinstance(one, Tensor)), "tensors by name"),
    "pytorch-lightning_version": (lambda v: isinstance(v, str), "a version"),
    "epoch": (_is_count, "a number of epochs"),
    "global_step": (_is_count, "a number of steps"),
    "loops": (_is_named, "states by name"),
    "callbacks": (_is_named, "states by name"),
    "hyper_parameters": (_is_named, "options by name"),
    "optimizer_states": (lambda v: _is_list(v, _is_optimizer) or _is_named(v), "the optimizers' states"),
    "lr_schedulers": (lambda v: _is_list(v, _is_named), "the schedules' states"),
    "qstar_config": (_is_named, "a configuration"),
    "qstar_commands": (lambda v: _is_list(v, lambda one: isinstance(one, str)), "commands"),
    "qstar_metric_rows": (lambda v: _is_named(v, _is_count), "numbers of rows by folder"),
    "qstar_wandb_id": (lambda v: v is None or isinstance(v, str), "an id"),
    "qstar_answer_ends": (lambda v: _is_list(v, _is_count), "ids of tokens"),
    "qstar_optimizers": (lambda v: _is_list(v, lambda one: isinstance(one, str)), "names of optimizers"),
    "qstar_learning_rates": (lambda v: v is None or _is_list(v, lambda one: isinstance(one, float)), "rates"),
    "qstar_random_states": (lambda v: _is_list(v, _is_named), "states of generators"),
    "qstar_validation_due_after": (lambda v: v is None or _is_count(v), "a number of batches"),
    "qstar_validated_step": (lambda v: v is None or _is_count(v), "a number of steps"),
    "qstar_skipped_steps": (_is_count, "a number of steps"),
    "qstar_plateau_due": (lambda v: v is None or isinstance(v, float), "a measurement"),
    "kl_coefficient": (_is_coefficient, "a number of at least 0"),
    "qstar_models": (lambda v: _is_named(v, lambda one: isinstance(one, str)), "fingerprints by name"),
}
"""Key → whether a value can stand there, and what should."""


def _check_form(contents: Mapping[str, Any], path: Path, argument: str) -> None:
    for key, (fits, wanted) in _FORM.items():
        if key in contents and not fits(contents[key]):
            raise UserError(
                f"{argument} must be a Lightning checkpoint, got {path}, whose {key} must be {wanted}, not "
                f"{repr(contents[key])[:60]}"
            )
