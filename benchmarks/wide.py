"""GPT-2 at full size without a network: random weights, and a tokenizer with as many tokens as it has embeddings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from qstar_pl.models import FromConfig, Pretrained

VOCABULARY = 50257
_FOLDER = TemporaryDirectory()


@cache
def wide_tokenizer() -> PreTrainedTokenizerBase:
    """Return the tiny world's tokenizer with tokens added that no text contains: every sum is over GPT-2's V."""
    Pretrained("tiny/policy").tokenizer().save_pretrained(_FOLDER.name)
    path = Path(_FOLDER.name) / "tokenizer.json"
    stored = json.loads(path.read_text())
    vocabulary = stored["model"]["vocab"]
    taken = {*vocabulary.values(), *(token["id"] for token in stored["added_tokens"])}
    vocabulary.update({f"<unused {index}>": index for index in range(VOCABULARY) if index not in taken})
    path.write_text(json.dumps(stored))
    return AutoTokenizer.from_pretrained(_FOLDER.name)


@dataclass(frozen=True)
class WideGPT2(FromConfig):
    """`FromConfig()` with `wide_tokenizer`; nearly all it says has its full length, since EOS is one token of 50257."""

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """See `ModelSource.tokenizer`."""
        return wide_tokenizer()
