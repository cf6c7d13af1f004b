"""Candidate-set q* against the sequence-level mixture of every answer of two small models."""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from reference import enumeration as exact
from reference.targets import best_of
from reference.tiny_models import prompt_batch, random_model, word_tokenizer
from scipy.optimize import brentq
from small_run import SMALL

from qstar_pl.errors import UserError
from qstar_pl.models import LanguageModel
from qstar_pl.qstar import BestOfN, FixedAlpha, HighRewardConditional, KLSymmetricAlpha
from qstar_pl.rewards import Reward
from qstar_pl.rollout import Alone, Geometric
from qstar_pl.samplers import CandidateSetSampler, GeometricSampler, PolicySampler
from qstar_pl.targets import CandidateTarget
from qstar_pl.types import Rollout

VOCAB, LENGTH, EOS = 4, 3, 1
PROMPT = [3, 2]
POOL_SEED = 6
Law = dict[tuple[int, ...], float]


@pytest.fixture(scope="module")
def pair() -> tuple[LanguageModel, LanguageModel]:
    models = (random_model(vocab=VOCAB, seed=0, scale=0.25), random_model(vocab=VOCAB, seed=3, scale=0.3))
    return LanguageModel(models[0].float()), LanguageModel(models[1].float())


@pytest.fixture(scope="module")
def laws() -> tuple[Law, Law]:
    """π_θ and π_t of every answer."""
    models = (random_model(vocab=VOCAB, seed=0, scale=0.25), random_model(vocab=VOCAB, seed=3, scale=0.3))
    predictors = [exact.predictor(model, PROMPT) for model in models]
    mixes = (exact.policy_only, exact.target_only)
    both = [exact.enumerate_sequences(predictors[0], predictors[1], mix, LENGTH, [EOS]) for mix in mixes]
    return both[0], both[1]


def mixture(laws: tuple[Law, Law], alpha: float) -> tuple[Law, float]:
    """The normalized sequence-level mixture, and its log Z."""
    terms = {answer: p**alpha * laws[1][answer] ** (1 - alpha) for answer, p in laws[0].items()}
    total = math.fsum(terms.values())
    return {answer: term / total for answer, term in terms.items()}, math.log(total)


def symmetric_alpha(laws: tuple[Law, Law]) -> float:
    def gap(alpha: float) -> float:
        return math.fsum(q * math.log(laws[0][y] / laws[1][y]) for y, q in mixture(laws, alpha)[0].items())

    return brentq(gap, 0.0, 1.0, xtol=1e-12)


def texts(rollout: Rollout) -> list[tuple[int, ...]]:
    pairs = zip(rollout.completion_ids, rollout.completion_mask, strict=True)
    return [tuple(ids[mask].tolist()) for ids, mask in pairs]


def sums(logprobs: torch.Tensor) -> np.ndarray:
    return logprobs.double().sum(-1).numpy()


@pytest.mark.parametrize("proposal", [Alone("policy"), Geometric(FixedAlpha(0.5))], ids=["policy", "mixture"])
def test_many_candidates_draw_from_the_sequence_level_mixture(pair, laws, proposal) -> None:
    """400 sets of 128 (weights π_t/π_θ up to 13); α = 0.8 (D = 0.27), π_t (0.18) and π_θ (0.63) are rejected."""
    prompts, count = prompt_batch([PROMPT] * 400, keys=list(range(400))), 400
    sampler = CandidateSetSampler(max_new_tokens=LENGTH, candidates=128, alpha=FixedAlpha(0.4), proposal=proposal)
    rollout = sampler.draw(prompts, *pair, samples=1, seed=1)
    expected, log_z = mixture(laws, 0.4)
    counts = dict(Counter(texts(rollout)))
    assert exact.g_test(counts, expected) > 1e-6
    for wrong in (mixture(laws, 0.8)[0], mixture(laws, 0.0)[0], laws[0], laws[1]):
        assert 2 * count * exact.kl(expected, wrong) > 100
        assert exact.g_test(counts, wrong) < 1e-6
    # The estimated log q and log Z are those of the enumeration, up to the noise of 128 candidates.
    behavior = sums(rollout.behavior_logprobs)
    known = np.log([expected[answer] for answer in texts(rollout)])
    assert abs((behavior - known).mean()) < 0.02
    assert (behavior - known).std() < 0.3
    assert abs(sums(rollout.log_z).mean() - log_z) < 0.02


def test_alpha_is_that_of_whole_answers(pair, laws) -> None:
    prompts = prompt_batch([PROMPT] * 60, keys=list(range(60)))
    sampler = CandidateSetSampler(max_new_tokens=LENGTH, candidates=512)
    alpha = sampler.draw(prompts, *pair, samples=1, seed=2).alpha[:, 0].double()
    expected = symmetric_alpha(laws)
    assert abs(float(alpha.mean()) - expected) < 4 * float(alpha.std()) / math.sqrt(60) + 0.003
    assert float(alpha.std()) < 0.1
    assert abs(expected - 0.5) > 0.02  # else any constant would do


def pool_of(pair, candidates: int, seed: int, prompts=None) -> Rollout:
    """The candidates themselves: the policy's answers under the same seed."""
    given = prompt_batch([PROMPT, [2]], keys=[7, 8]) if prompts is None else prompts
    return PolicySampler(max_new_tokens=LENGTH).draw(given, *pair, samples=candidates, seed=seed)


def set_law(answers: Sequence[tuple[int, ...]], probs: np.ndarray) -> Law:
    law: Law = {}
    for answer, p in zip(answers, probs, strict=True):
        law[answer] = law.get(answer, 0.0) + float(p)
    return {answer: p / math.fsum(law.values()) for answer, p in law.items()}


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_one_set_is_resampled_by_its_weights(pair, temperature) -> None:
    """20000 draws from one set of six against weights by hand, and every column against its definition."""
    pool = pool_of(pair, 6, seed=5)
    options = {"max_new_tokens": LENGTH, "candidates": 6, "answers_per_set": 20_000}
    sampler = CandidateSetSampler(**options, alpha=FixedAlpha(0.25), temperature=temperature)
    rollout = sampler.draw(pool.prompts, *pair, samples=20_000, seed=5)
    policy, target = (sums(part)[:6] for part in (pool.policy_logprobs, pool.target_logprobs))
    law_t = np.exp(target - policy) / np.exp(target - policy).sum()
    unnormalized = (1 / 6) ** 0.25 * law_t**0.75
    q = unnormalized ** (1 / temperature) / (unnormalized ** (1 / temperature)).sum()
    answers = texts(pool)[:6]
    counts = Counter(texts(rollout)[:20_000])
    assert exact.g_test(dict(counts), set_law(answers, q)) > 1e-6
    assert exact.g_test(dict(counts), set_law(answers, q**1.2)) < 1e-6
    by_answer = {
        answer: math.log(p) - math.log((1 / 6) / w) for answer, p, w in zip(answers, np.exp(policy), q, strict=True)
    }
    behavior, log_z = sums(rollout.behavior_logprobs), sums(rollout.log_z)
    drawn_policy, drawn_target = sums(rollout.policy_logprobs), sums(rollout.target_logprobs)
    known = {answer: (p, t) for answer, p, t in zip(answers, policy, target, strict=True)}
    for row, answer in enumerate(texts(rollout)[:200]):
        assert behavior[row] == pytest.approx(by_answer[answer], abs=1e-4)
        assert (drawn_policy[row], drawn_target[row]) == pytest.approx(known[answer], abs=1e-5)
        assert log_z[row] == pytest.approx(math.log(unnormalized.sum()), abs=1e-5)
    assert float(rollout.ess_policy[0, 0]) == pytest.approx(1 / ((1 / 6) ** 2 / q).sum(), rel=1e-4)
    assert sums(rollout.kl_behavior_policy)[0] == pytest.approx(float(q @ np.log(q * 6)), abs=1e-5)
    assert sums(rollout.kl_behavior_target)[0] == pytest.approx(float(q @ np.log(q / law_t)), abs=1e-5)
    distinct = {answer: math.exp(p) for answer, p in zip(answers, policy, strict=True)}
    assert len(distinct) < 6  # a copy must not count twice
    assert float(rollout.uncovered_mass[0, 0]) == pytest.approx(1 - math.fsum(distinct.values()), abs=1e-6)
    assert not rollout.info.exact
    assert not sampler.exact


def test_columns_are_zero_where_nothing_was_sampled(pair) -> None:
    rollout = CandidateSetSampler(max_new_tokens=LENGTH, candidates=4).draw(
        prompt_batch([PROMPT, [2]]), *pair, samples=8, seed=3
    )
    assert not rollout.completion_mask.all()
    for name, value in vars(rollout).items():
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            assert value.shape == rollout.completion_mask.shape, name
            assert value.dtype == torch.float32, name
            assert not value[~rollout.completion_mask].any(), name


def test_alpha_one_draws_from_the_policy(pair, laws) -> None:
    """One of two answers at random is an answer, unless the choice is made with a candidate's own random number."""
    prompts = prompt_batch([PROMPT] * 4000, keys=list(range(4000)))
    sampler = CandidateSetSampler(max_new_tokens=LENGTH, candidates=2, alpha=FixedAlpha(1.0))
    rollout = sampler.draw(prompts, *pair, samples=1, seed=1)
    assert exact.g_test(dict(Counter(texts(rollout))), laws[0]) > 1e-6
    torch.testing.assert_close(rollout.behavior_logprobs, rollout.policy_logprobs)


def test_one_candidate_is_the_policy(pair) -> None:
    prompts = prompt_batch([PROMPT, [2]], keys=[7, 8])
    rollout = CandidateSetSampler(max_new_tokens=LENGTH, candidates=1).draw(prompts, *pair, samples=1, seed=6)
    policy = pool_of(pair, 1, seed=6, prompts=prompts)
    assert torch.equal(rollout.completion_ids, policy.completion_ids)
    torch.testing.assert_close(rollout.behavior_logprobs, policy.policy_logprobs)


def test_a_row_depends_on_its_prompt_alone(pair) -> None:
    sampler = CandidateSetSampler(max_new_tokens=LENGTH, candidates=8)
    together = texts(sampler.draw(prompt_batch([PROMPT, [2]], pads=9, keys=[7, 8]), *pair, samples=3, seed=5))
    assert texts(sampler.draw(prompt_batch([[2]], keys=[8]), *pair, samples=3, seed=5)) == together[3:]
    assert texts(sampler.draw(prompt_batch([[2], PROMPT], keys=[8, 7]), *pair, samples=2, seed=5))[:2] == together[3:5]


class LengthReward(Reward):
    """Words of the answer: many answers tie."""

    def score(self, rollout: Rollout, completions: Sequence[str]) -> torch.Tensor:
        return torch.tensor([float(len(text.split())) for text in completions])


def candidate_target(law) -> CandidateTarget:
    target = CandidateTarget(law, LengthReward())
    target.build(random_model(vocab=VOCAB), word_tokenizer(vocab=VOCAB))
    return target


def conditional(probs: Sequence[float], rewards: Sequence[float]) -> list[float]:
    kept = [p if r >= 1 else 0.0 for p, r in zip(probs, rewards, strict=True)]
    return [p / sum(kept) for p in kept]


@pytest.mark.parametrize(
    ("law", "by_hand"),
    [
        (BestOfN(3), lambda probs, rewards: best_of(probs, rewards, 3)),
        (HighRewardConditional(threshold=1.0), conditional),
    ],
    ids=["best_of_n", "conditional"],
)
def test_alpha_zero_draws_from_a_target_over_candidates(pair, law, by_hand: Callable[..., list[float]]) -> None:
    pool = pool_of(pair, 6, seed=POOL_SEED)
    answers = texts(pool)[:6]
    # The only word that decoding leaves is token 3.
    rewards = [float(sum(token == 3 for token in answer)) for answer in answers]
    expected = by_hand([1 / 6] * 6, rewards)
    assert len(set(rewards)) > 1
    options = {"max_new_tokens": LENGTH, "candidates": 6, "answers_per_set": 5000}
    sampler = CandidateSetSampler(**options, alpha=FixedAlpha(0.0))
    rollout = sampler.draw(pool.prompts, pair[0], candidate_target(law), samples=5000, seed=POOL_SEED)
    counts = Counter(texts(rollout)[:5000])
    assert exact.g_test(dict(counts), set_law(answers, np.array(expected))) > 1e-6
    assert exact.g_test(dict(counts), set_law(answers, np.full(6, 1 / 6))) < 1e-6
    policy, target, behavior = (
        sums(part)[:5000] for part in (rollout.policy_logprobs, rollout.target_logprobs, rollout.behavior_logprobs)
    )
    ratios = {answer: 6 * p for answer, p in zip(answers, expected, strict=True)}
    np.testing.assert_allclose(np.exp(target - policy), [ratios[a] for a in texts(rollout)[:5000]], rtol=1e-4)
    np.testing.assert_allclose(behavior, target, atol=1e-4)  # α = 0: q is π_t


def test_kl_symmetry_mixes_the_policy_with_best_of_n(pair) -> None:
    sampler = CandidateSetSampler(max_new_tokens=LENGTH, candidates=32, alpha=KLSymmetricAlpha(tol=1e-6))
    rollout = sampler.draw(prompt_batch([PROMPT, [2]]), pair[0], candidate_target(BestOfN(4)), samples=2, seed=9)
    kls = sums(rollout.kl_behavior_policy), sums(rollout.kl_behavior_target)
    np.testing.assert_allclose(*kls, atol=1e-5)
    assert (kls[0] > 0.01).all()


def test_a_target_over_candidates_has_no_next_tokens(pair) -> None:
    message = "sampler must be a CandidateSetSampler whose proposal is the policy for CandidateTarget, a target that"
    target, prompts = candidate_target(BestOfN(4)), prompt_batch([PROMPT])
    by_mixture = CandidateSetSampler(max_new_tokens=2, proposal=Geometric(FixedAlpha(0.5)))
    for sampler in (GeometricSampler(max_new_tokens=2), PolicySampler(max_new_tokens=2), by_mixture):
        with pytest.raises(UserError, match=re.escape(message)):
            sampler.draw(prompts, pair[0], target, samples=1, seed=0)


@pytest.mark.parametrize("name", ["candidates", "answers_per_set"])
def test_counts_must_be_at_least_one(name) -> None:
    with pytest.raises(UserError, match=f"{name} must be at least 1, got 0"):
        CandidateSetSampler(**{name: 0})


@pytest.mark.parametrize(("answers_per_set", "samples"), [(2, 5), (1, 3), (3, 3), (4, 3)])
def test_answers_come_from_the_sets_that_the_rollout_names(pair, answers_per_set, samples) -> None:
    """Set k of a prompt holds its candidates 6k … 6k + 5, and log Z and α are its own."""
    sets = -(-samples // answers_per_set)
    sampler = CandidateSetSampler(max_new_tokens=LENGTH, candidates=6, answers_per_set=answers_per_set)
    rollout = sampler.draw(prompt_batch([PROMPT, [2]], keys=[7, 8]), *pair, samples=samples, seed=5)
    pool = texts(pool_of(pair, 6 * sets, seed=5))
    assert sampler.independent_draws(samples) == sets
    assert len(rollout.set_index.unique()) == 2 * sets
    for row, answer in enumerate(texts(rollout)):
        prompt, number = divmod(row, samples)
        chosen_from = number // answers_per_set
        start = 6 * (prompt * sets + chosen_from)
        assert answer in pool[start : start + 6]
        same = [other for other in range(2 * samples) if rollout.set_index[other] == rollout.set_index[row]]
        assert {divmod(other, samples)[0] for other in same} == {prompt}
        assert {divmod(other, samples)[1] // answers_per_set for other in same} == {chosen_from}
        for other in same:
            torch.testing.assert_close(rollout.alpha[other, 0], rollout.alpha[row, 0], rtol=0, atol=0)
    assert len({float(alpha) for alpha in rollout.alpha[:, 0]}) == 2 * sets
    # The first set is the same whatever number of answers is asked for.
    fewer = sampler.draw(prompt_batch([PROMPT, [2]], keys=[7, 8]), *pair, samples=1, seed=5)
    assert texts(fewer) == [texts(rollout)[0], texts(rollout)[samples]]


def test_answers_of_other_samplers_are_independent(pair) -> None:
    rollout = GeometricSampler(max_new_tokens=2).draw(prompt_batch([PROMPT, [2]]), *pair, samples=3, seed=0)
    assert rollout.set_index.tolist() == list(range(6))
    assert GeometricSampler().independent_draws(3) == 3


@pytest.mark.parametrize(("target", "sampler"), [("best_of_n", "candidate_set"), ("high_reward", "high_reward")])
def test_q_star_trains_on_candidate_sets(qstar, repository, target: str, sampler: str) -> None:
    code, _, err = qstar(
        "fit",
        *SMALL,
        "--trainer.max_steps=2",
        "--trainer.limit_val_batches=0",
        f"--model.target={repository}/configs/target/{target}.yaml",
        f"--model.sampler={repository}/configs/sampler/{sampler}.yaml",
        "--model.sampler.max_new_tokens=6",
    )
    assert code == 0, err
