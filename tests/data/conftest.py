"""Small tokenizers, built on the spot."""

from collections.abc import Callable
from pathlib import Path

import pytest
from reference.chat_tokenizers import CHATML, make_tokenizer
from transformers import PreTrainedTokenizerBase


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerBase:
    """Byte-level BPE without chat template; adds no special tokens by itself."""
    return make_tokenizer()


@pytest.fixture(scope="session")
def bos_tokenizer() -> PreTrainedTokenizerBase:
    """The same, but it puts BOS before a text, as Llama's does."""
    return make_tokenizer(bos=True)


@pytest.fixture(scope="session")
def chat_tokenizer() -> PreTrainedTokenizerBase:
    """The same with a ChatML-like template that ends turns with EOS and a newline."""
    return make_tokenizer(chat_template=CHATML)


@pytest.fixture(scope="session")
def templated() -> Callable[[str], PreTrainedTokenizerBase]:
    """A tokenizer with a given chat template."""
    return lambda template: make_tokenizer(chat_template=template)


@pytest.fixture
def pairs_file(tmp_path: Path) -> Path:
    """200 comparisons in HH-RLHF form, all prompts different."""
    import json

    rows = [
        {
            "chosen": f"\n\nHuman: question {number}\n\nAssistant: good {number}",
            "rejected": f"\n\nHuman: question {number}\n\nAssistant: bad",
        }
        for number in range(200)
    ]
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file
