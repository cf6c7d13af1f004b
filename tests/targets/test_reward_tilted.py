"""Token-wise tilts against their definition, every prefix of three tokens over a vocabulary of six."""

import re

import numpy as np
import pytest
import torch
from reference import targets as exact
from reference.enumeration import predictor
from reference.sessions import walk
from reference.tiny_models import prompt_batch, random_model, word_tokenizer
from torch import nn

from qstar_pl.errors import UserError
from qstar_pl.models import LanguageModel
from qstar_pl.targets import RewardTilted

VOCAB, LENGTH = 6, 3
PROMPTS = [[3, 4, 2], [5]]


def build(target: RewardTilted) -> RewardTilted:
    target.build(random_model(vocab=VOCAB), word_tokenizer(vocab=VOCAB))
    return target


@pytest.mark.parametrize(("base", "beta"), [("reference", 0.7), ("reference", 3.0), ("uniform", 0.7), ("uniform", 1.0)])
@pytest.mark.parametrize("ask", [exact.decoded, exact.teacher_forced])
def test_equals_its_definition(ask, base, beta, language_model) -> None:
    target = build(RewardTilted(language_model(), beta=beta, base=base))
    rewards = predictor(random_model(vocab=VOCAB, seed=4, scale=0.6), PROMPTS[1])
    tilted = predictor(random_model(vocab=VOCAB), PROMPTS[1]) if base == "reference" else exact.uniform(VOCAB)
    expected, asked = exact.tilted(tilted, rewards, beta), ask(target, prompt_batch(PROMPTS, pads=3), row=1)
    wrong = exact.tilted(tilted, rewards, 1.1 * beta)
    for prefix in exact.prefixes(VOCAB, LENGTH):
        np.testing.assert_allclose(asked(prefix), expected(prefix), atol=1e-9)
    assert max(np.abs(asked(p) - wrong(p)).max() for p in exact.prefixes(VOCAB, 2)) > 1e-2


def test_a_uniform_base_at_beta_one_is_the_reward_model(language_model) -> None:
    source = language_model()
    target = build(RewardTilted(source, beta=1.0, base="uniform"))
    prompts = prompt_batch(PROMPTS)
    expected = LanguageModel(source.load()).start(prompts, 1).logits.log_softmax(-1)
    torch.testing.assert_close(target.start(prompts, 1).logits, expected)


def test_rewards_of_tokens_need_no_normalization(language_model) -> None:
    """Only differences between next tokens count, so bare logits or Q-values make the same π_t as log π_r."""
    target = build(RewardTilted(language_model(), beta=0.5))
    base, rewards = torch.randn(4, VOCAB), torch.randn(4, VOCAB)
    per_context = torch.tensor([[0.0], [5.0], [-3.0], [40.0]])
    shifted = target.tilt(base, rewards + per_context).softmax(-1)
    torch.testing.assert_close(shifted, (base + rewards / 0.5).softmax(-1), atol=1e-5, rtol=1e-4)


def test_weights_load_in_build_and_stay_frozen(language_model) -> None:
    target = RewardTilted(language_model())
    assert not list(target.parameters())
    with pytest.raises(RuntimeError, match="build"):
        _ = target.vocab_size
    reference = random_model(vocab=VOCAB)
    target.build(reference, word_tokenizer(vocab=VOCAB))
    nn.ModuleList([target]).train()
    assert not any(p.requires_grad for p in target.parameters())
    assert not any(m.training for m in target.reward_model.modules())
    assert {id(p) for p in target.parameters()}.isdisjoint(id(p) for p in reference.parameters())
    assert (target.vocab_size, target.eos_token_ids) == (VOCAB, (1,))


def test_another_vocabulary_is_one_line(language_model) -> None:
    message = "target.model must share the policy's vocabulary, got 5 tokens where the policy has 6"
    with pytest.raises(UserError, match=re.escape(message)):
        build(RewardTilted(language_model(vocab=5)))


@pytest.mark.parametrize("beta", [0.0, -1.0, float("nan"), float("inf")])
def test_beta_must_be_positive(beta) -> None:
    with pytest.raises(UserError, match=r"target\.beta must be positive and finite"):
        RewardTilted(beta=beta)


def test_base_must_be_known() -> None:
    with pytest.raises(UserError, match=r"target\.base must be reference or uniform, got 'policy'"):
        RewardTilted(base="policy")  # type: ignore[arg-type]


@pytest.mark.parametrize("base", ["reference", "uniform"])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_blocks_and_rewinds_equal_the_one_token_path(base, family, language_model) -> None:
    target = build(RewardTilted(language_model(family), beta=0.7, base=base))
    assert target.rewinds
    walk(target, prompt_batch([[3, 4, 2], [5]], pads=2), seed=1)
