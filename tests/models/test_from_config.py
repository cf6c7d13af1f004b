import re
from pathlib import Path
from typing import Any

import pytest
import torch
from reference.tiny_models import SIZES, word_tokenizer

from qstar_pl.errors import UserError
from qstar_pl.models import FromConfig


@pytest.fixture
def tokenizer_folder(tmp_path: Path) -> str:
    word_tokenizer(tmp_path)
    return str(tmp_path)


def source(family: str, tokenizer: str, **kwargs: Any) -> FromConfig:
    return FromConfig(family, {**SIZES[family], "vocab_size": 13}, tokenizer_name=tokenizer, **kwargs)


@pytest.mark.parametrize("family", SIZES)
def test_families(family: str, tokenizer_folder: str) -> None:
    model = source(family, tokenizer_folder).load()
    assert model.config.model_type == family
    assert model.get_input_embeddings().num_embeddings == 13
    assert (model.config.eos_token_id, model.config.pad_token_id) == (1, 0)
    assert not model.training
    assert {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)} <= {0.0}
    assert source(family, tokenizer_folder).load_reward().score.weight.shape == (1, 16)


def test_weights_follow_the_seed_and_not_the_global_generator(tokenizer_folder: str) -> None:
    state = torch.get_rng_state()
    one = source("gpt2", tokenizer_folder, seed=3).load()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    same = source("gpt2", tokenizer_folder, seed=3).load()
    other = source("gpt2", tokenizer_folder, seed=4).load()
    torch.testing.assert_close(one.transformer.wte.weight, same.transformer.wte.weight, rtol=0, atol=0)
    assert (one.transformer.wte.weight - other.transformer.wte.weight).abs().max() > 0.01


def test_options_are_checked_before_anything_is_loaded() -> None:
    with pytest.raises(UserError, match="model_type must be an architecture, got 'gpt9'"):
        FromConfig("gpt9")
    with pytest.raises(UserError, match="overrides must name fields of a gpt2 configuration, got 'n_layers'"):
        FromConfig("gpt2", {"n_layers": 2})
    with pytest.raises(UserError, match="dtype must be one of"):
        FromConfig(dtype="int8")


def test_an_embedding_smaller_than_the_vocabulary_is_refused(tokenizer_folder: str) -> None:
    with pytest.raises(UserError, match=re.escape("overrides.vocab_size must hold the tokenizer's 11 tokens, got 5")):
        FromConfig("gpt2", {**SIZES["gpt2"], "vocab_size": 5}, tokenizer_name=tokenizer_folder).load()


def test_the_default_is_gpt2_at_its_full_size(tokenizer_folder: str) -> None:
    with torch.device("meta"):  # shapes only: 124M random numbers take seconds
        model = FromConfig(tokenizer_name=tokenizer_folder).load()
    assert model.num_parameters() == 124_439_808
