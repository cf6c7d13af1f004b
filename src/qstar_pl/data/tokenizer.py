"""A tokenizer named by the user, for data without a model."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase

import qstar_pl.tiny_world
from qstar_pl.errors import UserError


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Load a tokenizer from the hub or a folder; "tiny" is the embedded one.

    Raises:
        UserError: if there is none.

    """
    folder = Path(qstar_pl.tiny_world.__file__).parent / "assets" / "tokenizer"
    source = str(folder) if name == "tiny" else name
    try:
        return AutoTokenizer.from_pretrained(source)
    except Exception as error:  # OSError, ValueError and the hub client's own types, all meaning that it is not there
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(f"tokenizer must be a folder or hub id of a tokenizer, got {source}: {reason}") from error
