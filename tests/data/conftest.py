"""Small tokenizers, built on the spot."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<eos>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXT = ["\n\nHuman: How are you today?\n\nAssistant: I am fine, thank you.", "the cat sat on the mat with a hat"] * 5


def make_tokenizer(*, bos: bool = False, chat_template: str | None = None) -> PreTrainedTokenizerBase:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    specials = ["<pad>", "<eos>", "<bos>", "<|im_start|>"]
    backend.train_from_iterator(
        TEXT,
        trainers.BpeTrainer(
            vocab_size=320, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        ),
    )
    if bos:
        backend.post_processor = processors.TemplateProcessing(
            single="<bos> $A", pair="<bos> $A $B", special_tokens=[("<bos>", 2)]
        )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>"
    )
    tokenizer.chat_template = chat_template
    return tokenizer


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
