"""What rows and token ids depend on, as a hash: whatever changes, the name of a cached file changes."""

from __future__ import annotations

import inspect
import json
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qstar_pl
from qstar_pl.data.adapters.adapter import Adapter
from qstar_pl.data.adapters.rows import Source
from qstar_pl.data.reading import local_files
from qstar_pl.data.storage.examples import Examples
from qstar_pl.data.text import chat, encoding, templates
from qstar_pl.data.text.chat import ChatTemplate
from qstar_pl.data.text.encoding import Encoder
from qstar_pl.hashing import digest, file_digest, hasher
from qstar_pl.models import text
from qstar_pl.models.run_date import run_date

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MAKE_ROWS = ("data", "rewards", "sandbox", "tiny_world")
"""Parts of the package whose code decides what becomes of a row."""


def rows_identity(sources: Sequence[Source]) -> str | None:
    """Return a hash of the files' contents, the adapters with their options, and the code that reads.

    None where that is not all: for datasets of the hub, and adapters from outside this package, whose code may depend
    on anything.
    """
    if not all(_of_this_package(source.adapter) and _reads_files(source.adapter) for source in sources):
        return None
    described: list[object] = [_code()]
    for source in sources:
        files = local_files(source.path, source.split)
        if files is None:
            return None
        try:
            contents = [[str(file), file_digest(file)] for file in files]
        except OSError:  # the reader says what is wrong
            return None
        described.append([source.name, source.path, source.split, source.max_rows, source.weight, source.held_out])
        described.append([repr(source.adapter), contents])
    return digest(json.dumps(described), 20).hex()


def tokens_identity(encoder: Encoder, examples: Examples) -> str | None:
    """Return a hash of the texts, the tokenizer, and all else that ids depend on.

    None for a tokenizer that cannot be told from others.
    """
    identity = _encoder(encoder)
    if identity is None:
        return None
    content = hasher(20)
    content.update(json.dumps(identity).encode())
    content.update(examples.digest())
    return content.hexdigest()


def _of_this_package(value: Any) -> bool:
    """Tell whether a strategy, and every strategy among its options, is of this package, so that its code is known."""
    if not is_dataclass(value):
        if isinstance(value, tuple | list):
            return all(map(_of_this_package, value))
        if isinstance(value, dict):
            return all(map(_of_this_package, value.values()))
        return value is None or isinstance(value, str | int | float | bool)
    own = type(value).__module__.startswith("qstar_pl.")
    return own and all(_of_this_package(getattr(value, one.name)) for one in fields(value))


def _reads_files(adapter: Adapter) -> bool:
    # An adapter with `rows` of its own may take them from anywhere.
    return type(adapter).rows is Adapter.rows


@lru_cache
def _code() -> str:
    root = Path(qstar_pl.__file__).parent
    content = hasher(20)
    for file in sorted(file for part in _MAKE_ROWS for file in (root / part).rglob("*.py")):
        content.update(f"{file.relative_to(root)}\0".encode() + file.read_bytes())
    return content.hexdigest()


def _encoder(encoder: Encoder) -> list[object] | None:
    tokenizer = encoder.tokenizer
    if not tokenizer.is_fast:  # only a fast one can be written down whole, as JSON
        return None
    template = encoder.template
    try:
        sources = [inspect.getsource(part) for part in (encoding, templates, chat, text, type(template))]
    except (OSError, TypeError):  # code without a file
        return None
    # Llama's templates write today's date into the prompt.
    dated = isinstance(template, ChatTemplate) and template.writes_date
    return [
        _tokenizer(tokenizer),
        run_date().isoformat() if dated else None,
        [encoder.max_prompt_tokens, encoder.max_completion_tokens, encoder.drop_long_answers],
        [repr(template), *sources],
        [version(package) for package in ("tokenizers", "transformers")],
    ]


def _tokenizer(tokenizer: PreTrainedTokenizerBase) -> list[object]:
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    # What the last call asked for, not a property of the tokenizer.
    backend.pop("truncation", None)
    backend.pop("padding", None)
    kind = f"{type(tokenizer).__module__}.{type(tokenizer).__qualname__}"
    return [kind, backend, tokenizer.chat_template, tokenizer.bos_token_id, tokenizer.eos_token_id]
