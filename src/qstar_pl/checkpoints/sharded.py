"""Checkpoints that sharded training wrote as a folder, without running what may be in them.

`torch.distributed.checkpoint` keeps its table of contents as a pickle, and unpickles every value that is not a tensor.
Both are looked through here before torch opens the folder.
"""

from __future__ import annotations

import io
import pickle  # nosec B403 - the unpickler here knows no code
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.load import _load_distributed_checkpoint
from torch.distributed.checkpoint.metadata import BytesStorageMetadata, Metadata

from qstar_pl.checkpoints.damage import SHARDED_METADATA
from qstar_pl.errors import UserError

METADATA = ".metadata"
_OF_TORCH = {
    "torch": {"Size"},
    "torch.serialization": {"_get_layout"},
    "torch.distributed.checkpoint.metadata": {
        "Metadata",
        "TensorStorageMetadata",
        "TensorProperties",
        "ChunkStorageMetadata",
        "BytesStorageMetadata",
        "MetadataIndex",
        "StorageMeta",
        "_MEM_FORMAT_ENCODING",
    },
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo"},
    "collections": {"OrderedDict"},
    "pathlib": {"PosixPath", "WindowsPath"},
    "pathlib._local": {"PosixPath", "WindowsPath"},
}
"""Module → what `torch.distributed.checkpoint` names in a table of contents, besides torch's dtypes."""


class _TableOfContents(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = name in _OF_TORCH.get(module, ())
        if known or (module == "torch" and isinstance(getattr(torch, name, None), torch.dtype)):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is no part of a checkpoint")


def is_sharded(path: Path) -> bool:
    """Return whether a path is the folder of such a checkpoint."""
    return path.is_dir() and (path / METADATA).is_file()


def check_no_code(folder: Path, argument: str = "ckpt_path") -> None:
    """Check that opening a folder runs no code and reads no file outside it.

    Args:
        folder: of a sharded checkpoint.
        argument: the name under which the user gave it.

    Raises:
        UserError: if it names a class or a function that torch does not write, or another place.

    """
    try:
        contents = _TableOfContents(io.BytesIO((folder / METADATA).read_bytes())).load()
        if not isinstance(contents, Metadata):
            raise pickle.UnpicklingError(f"it holds a {type(contents).__name__} in place of a table of contents")
        for index, place in contents.storage_data.items():
            _check_place(place)
            # A value that is no tensor, which torch would unpickle.
            if isinstance(contents.state_dict_metadata.get(index.fqn), BytesStorageMetadata):
                torch.load(io.BytesIO(_read(folder, place)), weights_only=True, map_location="cpu")
    except Exception as error:  # anybody may have written the table, so anything may be raised
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{argument} must be a Lightning checkpoint without code in it, got {folder}: {reason.split('. ')[0]}"
        ) from error


def load_folder(folder: Path, argument: str = "ckpt_path") -> dict[str, Any]:
    """Return what a sharded checkpoint holds, with whole tensors.

    Raises:
        UserError: as `check_no_code` does, or if torch cannot read it.

    """
    check_no_code(folder, argument)
    try:
        return dict(_load_distributed_checkpoint(folder))
    except Exception as error:  # as above: parts that do not fit each other
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{argument} must be a Lightning checkpoint, got the folder {folder}: {reason.split('. ')[0]}"
        ) from error


def _check_place(place: Any) -> None:
    name = place.relative_path
    # A bare name: no folder before it, and none of the files that are read for something else.
    if not isinstance(name, str) or Path(name).name != name or name in (METADATA, SHARDED_METADATA, "..", "."):
        raise pickle.UnpicklingError(f"a part of it lies at {name!r}, which is no file of the folder")
    if place.transform_descriptors:  # e.g. compression, under which the bytes checked here are not those unpickled
        raise pickle.UnpicklingError("its parts are packed in a way that this project does not write")
    if not all(isinstance(number, int) and number >= 0 for number in (place.offset, place.length)):
        raise pickle.UnpicklingError(f"a part of it lies at {place.offset!r}")


def _read(folder: Path, place: Any) -> bytes:
    with (folder / place.relative_path).open("rb") as stream:
        stream.seek(place.offset)
        return bytes(stream.read(place.length))
