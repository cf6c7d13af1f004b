"""Folders of models small enough to enumerate."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from reference.tiny_models import SIZES, random_model, word_tokenizer

from qstar_pl.models import FromConfig, Pretrained

VOCAB = 6


@pytest.fixture
def language_model(tmp_path: Path) -> Callable[..., Pretrained]:
    """A saved causal language model in float64; `random_model` with the same arguments has its weights."""

    def make(family: str = "gpt2", vocab: int = VOCAB, seed: int = 4, scale: float = 0.6) -> Pretrained:
        folder = tmp_path / f"{family}_{vocab}_{seed}"
        random_model(family, vocab=vocab, seed=seed, scale=scale).save_pretrained(folder)
        word_tokenizer(folder, vocab=vocab)
        return Pretrained(str(folder), dtype="float64")

    return make


@pytest.fixture
def reward_model(tmp_path: Path) -> Callable[..., Pretrained]:
    """A saved reward model in float64, with rewards of about unit size."""

    def make(family: str = "gpt2", vocab: int = VOCAB, seed: int = 5) -> Pretrained:
        folder = tmp_path / f"reward_{family}_{vocab}_{seed}"
        word_tokenizer(folder, vocab=vocab)
        overrides = {**SIZES[family], "vocab_size": vocab, "initializer_range": 0.6}
        network = FromConfig(family, overrides, seed=seed, tokenizer_name=str(folder), dtype="float64").load_reward()
        with torch.no_grad():
            network.score.weight.mul_(2.0)
        network.save_pretrained(folder)
        return Pretrained(str(folder), dtype="float64")

    return make
