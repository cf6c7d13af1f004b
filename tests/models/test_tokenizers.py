from pathlib import Path
from typing import Any

import pytest
from reference.tiny_models import word_tokenizer

from qstar_pl.errors import UserError
from qstar_pl.models.tokenizers import (
    APPENDED_PAD,
    ensure_pad,
    load_tokenizer,
    vocabulary_difference,
    vocabulary_size,
)


@pytest.mark.parametrize(
    ("given", "pad"),
    [
        ({}, "<pad>"),  # has one
        ({"pad": None}, "<unk>"),  # nothing named for padding is special: the unknown token
        ({"pad": "<eos>"}, "<unk>"),  # EOS as pad would end every prompt
        ({"pad": None, "unk": None}, APPENDED_PAD),
        ({"pad": "<eos>", "unk": "<eos>"}, APPENDED_PAD),  # GPT-2: one token for everything
    ],
)
def test_the_pad_token_is_never_eos(given: dict[str, Any], pad: str) -> None:
    tokenizer = ensure_pad(word_tokenizer(**given))
    assert tokenizer.pad_token == pad
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    # An appended pad has an id beyond the model's embedding and does not count as a token.
    assert vocabulary_size(tokenizer) == 11
    assert (tokenizer.pad_token_id == 11) == (pad == APPENDED_PAD)


def test_a_special_token_named_for_padding_is_taken_before_unk() -> None:
    tokenizer = word_tokenizer(pad=None)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|padding|>"]})
    assert ensure_pad(tokenizer).pad_token == "<|padding|>"


def test_loading_pads_on_the_left(tmp_path: Path) -> None:
    word_tokenizer(tmp_path)
    tokenizer = load_tokenizer(str(tmp_path))
    assert tokenizer(["w3", "w4 w5"], padding=True)["input_ids"] == [[0, 3], [4, 5]]


def test_no_tokenizer_is_one_line(tmp_path: Path) -> None:
    for name in (str(tmp_path), "./nowhere", "no-one/nothing"):
        with pytest.raises(UserError, match="name must") as error:
            load_tokenizer(name)
        assert "\n" not in str(error.value)


def test_vocabulary_difference() -> None:
    policy = word_tokenizer()
    assert vocabulary_difference(policy, word_tokenizer()) is None
    assert vocabulary_difference(policy, word_tokenizer(vocab=9)) == "9 tokens where the policy has 11"
    renamed = vocabulary_difference(policy, word_tokenizer(words="v"))
    assert renamed == "11 tokens, as the policy has, but id 3 is 'v3' where the policy's is 'w3'"
    # An appended pad is nobody's token.
    assert vocabulary_difference(policy, ensure_pad(word_tokenizer(pad=None, unk=None))) is None


def test_a_model_without_a_tokenizer(tmp_path: Path) -> None:
    """transformers answers with a list of what could be there, from its second line on."""
    (tmp_path / "config.json").write_text('{"model_type": "llama", "vocab_size": 32}')
    with pytest.raises(UserError, match=r"^name must lead to a tokenizer, got .*: it has no tokenizer files"):
        load_tokenizer(str(tmp_path))
