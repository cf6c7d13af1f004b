"""ARGS's tilt with full support, against its definition: every prefix of three tokens over a vocabulary of six."""

import re

import numpy as np
import pytest
import torch
from reference import targets as exact
from reference.enumeration import predictor
from reference.sessions import walk
from reference.tiny_models import SIZES, prompt_batch, random_model, word_tokenizer

from qstar_pl.errors import UserError
from qstar_pl.models import LanguageModel
from qstar_pl.samplers import PolicySampler, TargetSampler
from qstar_pl.targets import TopKRewardTilted, top_k_reward_tilted

VOCAB, LENGTH = 6, 3
PROMPTS = [[3, 4, 2], [5]]


def build(target: TopKRewardTilted) -> TopKRewardTilted:
    target.build(random_model(vocab=VOCAB), word_tokenizer(vocab=VOCAB))
    return target


def law(source, row: int, k: int, beta: float):
    base = predictor(random_model(vocab=VOCAB), PROMPTS[row])
    return exact.top_k_tilted(base, exact.prefix_reward(source.load_reward(), PROMPTS[row]), k, beta)


@pytest.mark.parametrize(("k", "beta"), [(3, 0.7), (1, 1.0), (9, 2.0)])
@pytest.mark.parametrize("ask", [exact.decoded, exact.teacher_forced])
def test_equals_its_definition(ask, k, beta, reward_model) -> None:
    source = reward_model()
    target = build(TopKRewardTilted(source, k=k, beta=beta))
    expected, asked = law(source, 1, k, beta), ask(target, prompt_batch(PROMPTS, pads=3), row=1)
    for prefix in exact.prefixes(VOCAB, LENGTH):
        np.testing.assert_allclose(expected(prefix).sum(), 1.0, atol=1e-12)
        np.testing.assert_allclose(asked(prefix), expected(prefix), atol=1e-5)
    other = law(source, 1, k + 1, beta) if k == 1 else law(source, 1, min(k, VOCAB) - 1, beta)
    assert max(np.abs(asked(p) - other(p)).max() for p in exact.prefixes(VOCAB, 2)) > 1e-2


def test_every_other_token_keeps_its_probability(reward_model) -> None:
    target = build(TopKRewardTilted(reward_model(), k=2, beta=0.05))
    prompts = prompt_batch(PROMPTS)
    base = LanguageModel(random_model(vocab=VOCAB)).start(prompts, 1).logits.log_softmax(-1)
    tilted = target.start(prompts, 1).logits
    torch.testing.assert_close(tilted.logsumexp(-1), torch.zeros(2, dtype=torch.float64))
    changed_mask = (tilted - base).abs() > 1e-12
    assert changed_mask.sum(-1).tolist() == [2, 2]
    assert bool(tilted.isfinite().all())


@pytest.mark.parametrize("family", SIZES)
def test_families_agree_with_their_own_full_pass(family, reward_model) -> None:
    """A mask per query and a cropped cache must mean the same to every attention; prompts differ in length."""
    source = reward_model(family)
    target, prompts = build(TopKRewardTilted(source, k=4)), prompt_batch(PROMPTS)
    for row in (0, 1):
        expected, asked = law(source, row, 4, 1.0), exact.decoded(target, prompts, row)
        for prefix in [(), (3,), (2, 5), (4, 4, 1, 3)]:
            np.testing.assert_allclose(asked(prefix), expected(prefix), atol=1e-5)


def test_chunks_of_time_change_nothing(reward_model, monkeypatch) -> None:
    target = build(TopKRewardTilted(reward_model(), k=3))
    ids = torch.tensor([[3, 4, 5, 2, 1], [5, 5, 1, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], dtype=torch.bool)
    answers = (prompt_batch(PROMPTS), torch.tensor([1, 0]), ids, mask)
    whole = target.completion_logits(*answers)
    for limit in (1, 2 * 2 * 7 * 6):  # one position at a time, then two
        monkeypatch.setattr(top_k_reward_tilted, "MAX_ATTENTION", limit)
        torch.testing.assert_close(target.completion_logits(*answers)[mask], whole[mask], atol=1e-5, rtol=1e-5)


def test_padding_changes_nothing_that_is_sampled(reward_model) -> None:
    """Through the decode engine: what a session says of an answer is what one pass over it says."""
    target, policy = build(TopKRewardTilted(reward_model(), k=3)), LanguageModel(random_model(vocab=VOCAB, seed=8))
    drawn = [
        TargetSampler(max_new_tokens=5).draw(prompt_batch(PROMPTS, pads=pads), policy, target, samples=6, seed=3)
        for pads in (0, 20)
    ]
    assert torch.equal(drawn[0].completion_ids, drawn[1].completion_ids)
    torch.testing.assert_close(drawn[0].target_logprobs, drawn[1].target_logprobs, atol=1e-5, rtol=1e-5)
    given = (drawn[0].prompts, drawn[0].prompt_index, drawn[0].completion_ids, drawn[0].completion_mask)
    again = target.completion_logits(*given).log_softmax(-1).gather(-1, drawn[0].completion_ids.unsqueeze(-1))
    mask = drawn[0].completion_mask
    torch.testing.assert_close(drawn[0].target_logprobs[mask], again.squeeze(-1)[mask], atol=1e-5, rtol=1e-5)


def test_support_is_full(reward_model) -> None:
    target, policy = build(TopKRewardTilted(reward_model(), k=1)), LanguageModel(random_model(vocab=VOCAB, seed=8))
    rollout = TargetSampler(max_new_tokens=4).draw(prompt_batch(PROMPTS), policy, target, samples=5, seed=3)
    assert float(rollout.uncovered_mass.sum()) == 0
    assert bool((rollout.ess_policy[rollout.completion_mask] > 0).all())
    alone = PolicySampler(max_new_tokens=4).draw(prompt_batch(PROMPTS), policy, target, samples=5, seed=3)
    assert bool(alone.target_logprobs.isfinite().all())


def test_too_long_is_one_line(reward_model) -> None:
    target = build(TopKRewardTilted(reward_model(), k=2))
    with pytest.raises(UserError, match="128 positions"):
        target.start(prompt_batch([[3] * 129]), 1)


def test_a_language_model_is_no_reward_model(language_model) -> None:
    with pytest.raises(UserError, match=r"target\.model must be a reward model with a trained scalar head"):
        build(TopKRewardTilted(language_model()))


def test_another_vocabulary_is_one_line(reward_model) -> None:
    message = "target.model must share the policy's vocabulary, got 5 tokens where the policy has 6"
    with pytest.raises(UserError, match=re.escape(message)):
        build(TopKRewardTilted(reward_model(vocab=5)))


def test_options_out_of_range() -> None:
    with pytest.raises(UserError, match=r"target\.k must be at least 1, got 0"):
        TopKRewardTilted(k=0)
    with pytest.raises(UserError, match=r"target\.beta must be positive"):
        TopKRewardTilted(beta=0.0)
    with pytest.raises(RuntimeError, match="build"):
        _ = TopKRewardTilted().vocab_size


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("seed", [1, 2])
def test_blocks_and_rewinds_equal_the_one_token_path(family, seed, reward_model, monkeypatch) -> None:
    monkeypatch.setattr(top_k_reward_tilted, "MAX_ATTENTION", 2 * 4 * 10 * 6)  # a block is read in several pieces
    target = build(TopKRewardTilted(reward_model(family), k=3, beta=0.7))
    assert target.rewinds
    walk(target, prompt_batch(PROMPTS, pads=2), seed, tolerance=1e-5)
