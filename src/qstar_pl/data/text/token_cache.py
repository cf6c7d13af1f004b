"""Token ids on disk, under a name that follows from all that they depend on."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import stat
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from transformers import PreTrainedTokenizerBase

from qstar_pl.data.text import chat, encoding, templates
from qstar_pl.data.text.chat import ChatTemplate
from qstar_pl.data.text.encoding import Encoded, Encoder, Ids
from qstar_pl.files import plain_mode
from qstar_pl.models import text
from qstar_pl.models.run_date import run_date
from qstar_pl.types import Example

Arrays = Mapping[str, NDArray[np.generic]]
_TEXTS = ("prompt", "chosen", "rejected")
_PER_TEXT = ("mask", "lengths")


def default_folder() -> Path:
    """Return $XDG_CACHE_HOME/qstar_pl/tokens, by default ~/.cache/qstar_pl/tokens."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "qstar_pl" / "tokens"


@dataclass(frozen=True)
class TokenCache:
    """A folder of safetensors files (no pickle: reading one runs no code), each for one dataset and one encoder.

    A file's name is a hash of the examples' texts, the tokenizer (vocabulary, merges, normalizer, special tokens, chat
    template), the encoder's options and the code that encodes. Whatever changes, the name changes: nothing is ever
    stale, and files can be deleted at any time. Files appear whole or not at all, so processes may share a folder.
    """

    folder: Path

    def file(self, encoder: Encoder, examples: Sequence[Example]) -> Path | None:
        """Return where these examples' ids are or would be; None for a tokenizer that cannot be told from others."""
        identity = _encoder_identity(encoder)
        if identity is None:
            return None
        content = hashlib.blake2b(json.dumps(identity).encode(), digest_size=20)
        for example in examples:
            turns = [(turn.role, turn.content) for turn in example.turns]
            content.update(json.dumps([turns, example.chosen, example.rejected]).encode())
        return self.folder / f"{content.hexdigest()}.safetensors"

    def load(self, file: Path, examples: Sequence[Example]) -> tuple[list[Encoded], Counter[str]] | None:
        """Return the rows and what was left out.

        None if the file is not there or not readable, is no file (opening a pipe would wait for ever), belongs to or
        may be written by someone else, is damaged, or holds something else than these examples' rows.
        """
        try:
            if not _trusted(file):
                return None
            with safe_open(file, framework="np") as opened:
                facts = json.loads(opened.metadata()["facts"])
                arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a mapping)
            if facts["checksum"] != _checksum(arrays) or not _fits(arrays, facts["rejected"], examples):
                return None
            return _rows(arrays, examples), Counter(facts["rejected"])
        except (OSError, SafetensorError, LookupError, TypeError, ValueError, AttributeError, RecursionError):
            return None

    def save(
        self, file: Path, examples: Sequence[Example], rows: Sequence[Encoded], rejected: Mapping[str, int]
    ) -> None:
        """Write a file in one piece.

        Raises:
            OSError: if it cannot be written; nothing is left behind then.

        """
        arrays = _arrays(examples, rows)
        facts = json.dumps({"checksum": _checksum(arrays), "rejected": dict(rejected)})
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.folder, prefix="unfinished-")
        try:
            Path(name).chmod(plain_mode())  # mkstemp's is the owner's alone, and a cache may be shared
            with os.fdopen(handle, "wb") as stream:
                stream.write(save(dict(arrays), metadata={"facts": facts}))
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _trusted(file: Path) -> bool:
    """Return whether a path is a plain file that nobody but this user and root has written."""
    found = file.stat()
    return stat.S_ISREG(found.st_mode) and found.st_uid in (os.geteuid(), 0) and not found.st_mode & stat.S_IWOTH


def _fits(arrays: Arrays, rejected: Mapping[str, int], examples: Sequence[Example]) -> bool:
    """Return whether arrays can be these examples' rows, each example being a row or left out."""
    per_row = ["example", "prompt_cut", "answers_cut", *(f"{name}_{what}" for name in _TEXTS for what in _PER_TEXT)]
    if arrays.keys() != {*per_row, *(f"{name}_ids" for name in _TEXTS)}:
        return False
    if any(array.ndim != 1 or array.dtype.kind not in "bi" for array in arrays.values()):
        return False
    index = arrays["example"]
    count = len(index)
    if any(len(arrays[name]) != count for name in per_row) or count + sum(rejected.values()) != len(examples):
        return False
    if count and not (index[0] >= 0 and index[-1] < len(examples) and bool((np.diff(index) >= 0).all())):
        return False
    for name in _TEXTS:
        lengths, ids = (arrays[f"{name}_{what}"].astype(np.int64, copy=False) for what in ("lengths", "ids"))
        mask = arrays[f"{name}_mask"].astype(bool)
        there = [name == "prompt" or getattr(examples[number], name) is not None for number in index.tolist()]
        if mask.tolist() != there or bool((lengths < 0).any()) or bool(lengths[~mask].any()):
            return False
        if int(lengths.sum()) != len(ids) or bool((ids < 0).any()):
            return False
    return True


def _encoder_identity(encoder: Encoder) -> list[object] | None:
    tokenizer = encoder.tokenizer
    if not tokenizer.is_fast:
        return None
    template = encoder.template
    try:
        sources = [inspect.getsource(part) for part in (encoding, templates, chat, text, type(template))]
    except (OSError, TypeError):  # code without a file
        return None
    # Llama's templates write today's date into the prompt.
    dated = isinstance(template, ChatTemplate) and template.writes_date
    return [
        _tokenizer_identity(tokenizer),
        run_date().isoformat() if dated else None,
        [encoder.max_prompt_tokens, encoder.max_completion_tokens, encoder.drop_long_answers],
        [repr(template), *sources],
        [version(package) for package in ("tokenizers", "transformers")],
    ]


def _tokenizer_identity(tokenizer: PreTrainedTokenizerBase) -> list[object]:
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    # What the last call asked for, not what the tokenizer is.
    backend.pop("truncation", None)
    backend.pop("padding", None)
    kind = f"{type(tokenizer).__module__}.{type(tokenizer).__qualname__}"
    return [kind, backend, tokenizer.chat_template, tokenizer.bos_token_id, tokenizer.eos_token_id]


def _arrays(examples: Sequence[Example], rows: Sequence[Encoded]) -> dict[str, NDArray[np.generic]]:
    position = {id(example): number for number, example in enumerate(examples)}
    arrays: dict[str, NDArray[np.generic]] = {
        "example": np.asarray([position[id(row.example)] for row in rows], np.int64),
        "prompt_cut": np.asarray([row.prompt_cut for row in rows], bool),
        "answers_cut": np.asarray([row.answers_cut for row in rows], np.int64),
    }
    for name in _TEXTS:
        texts: list[Ids | None] = [getattr(row, name) for row in rows]
        arrays[f"{name}_mask"] = np.asarray([ids is not None for ids in texts], bool)
        arrays[f"{name}_lengths"] = np.asarray([0 if ids is None else len(ids) for ids in texts], np.int64)
        there = [ids for ids in texts if ids is not None]
        arrays[f"{name}_ids"] = np.concatenate(there) if there else np.zeros(0, np.int32)
    return arrays


def _rows(arrays: Arrays, examples: Sequence[Example]) -> list[Encoded]:
    columns: list[list[Ids | None]] = []
    for name in _TEXTS:
        ends = np.cumsum(arrays[f"{name}_lengths"])
        ids_of_all: Ids = arrays[f"{name}_ids"].astype(np.int32, copy=False)
        pieces = np.split(ids_of_all, ends[:-1]) if len(ends) else []
        columns.append([ids if there else None for ids, there in zip(pieces, arrays[f"{name}_mask"], strict=True)])
    prompts, chosen, rejected = columns
    rows = []
    for number, (index, cut, answers) in enumerate(
        zip(arrays["example"], arrays["prompt_cut"], arrays["answers_cut"], strict=True)
    ):
        prompt = prompts[number]
        assert prompt is not None, "every row has a prompt"
        rows.append(Encoded(examples[index], prompt, chosen[number], rejected[number], bool(cut), int(answers)))
    return rows


def _checksum(arrays: Arrays) -> str:
    content = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        content.update(f"{name}:{arrays[name].dtype}:{len(arrays[name])}:".encode())
        content.update(np.ascontiguousarray(arrays[name]).tobytes())
    return content.hexdigest()
