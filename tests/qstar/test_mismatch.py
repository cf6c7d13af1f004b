"""The factor between the law that was meant and the one that an engine drew from."""

from __future__ import annotations

import pytest
import torch
from reference.enumerated import COUNT, LENGTH, MASK, Behavior, Pair, error
from torch import Tensor

from qstar_pl.qstar.advantages import LeaveOneOut
from qstar_pl.qstar.mismatch import MismatchCorrection, OneFactor, TokenLogprobs, TwoFactors, Uncorrected
from qstar_pl.qstar.weights import ClippedWeights, MaskedWeights, RawWeights, WeightTreatment

PAIR = Pair()
TRUE = PAIR.reward_gradient()
RAW = RawWeights()
RAW_TWO = TwoFactors(mismatch=RawWeights())


def engine_of(pair: Pair, alpha: float | None) -> Behavior:
    """The same law, from weights that are half a unit off: a stale or badly rounded copy of the policy."""
    other = Pair()
    other.policy = pair.policy + 0.5 * torch.randn(
        pair.policy.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64
    )
    return other.behavior(alpha)


def gradient(alpha: float | None, correction: MismatchCorrection, treatment: WeightTreatment = RAW) -> Tensor:
    """The expected gradient of four answers that the engine draws, over all that it can draw."""
    engine, meant = engine_of(PAIR, alpha), PAIR.behavior(alpha)

    def coefficients(answers: Tensor, prompt_index: Tensor) -> Tensor:
        mask, rewards = MASK[answers], torch.zeros(len(answers), LENGTH, dtype=torch.float64)
        rewards[:, 0] = PAIR.rewards[answers]
        logprobs = TokenLogprobs(*(x[answers] for x in (PAIR.policy_logprobs, engine.logprobs, meant.logprobs)))
        weights = correction(logprobs, treatment, mask, prompt_index).weights
        return weights * LeaveOneOut().estimate(rewards, None, mask, prompt_index)

    return PAIR.expected_gradient(engine, 4, coefficients)


@pytest.mark.parametrize("alpha", [1.0, None], ids=["policy", "q_star"])
@pytest.mark.parametrize("correction", [OneFactor(), RAW_TWO], ids=["one", "two"])
def test_corrected_gradients_are_the_policys(alpha: float | None, correction: MismatchCorrection) -> None:
    assert error(gradient(alpha, correction), TRUE) < 1e-9


@pytest.mark.parametrize("alpha", [1.0, None], ids=["policy", "q_star"])
def test_without_correction_or_with_a_part_of_it_they_are_not(alpha: float | None) -> None:
    assert error(gradient(alpha, Uncorrected()), TRUE) > 0.1
    assert error(gradient(alpha, TwoFactors(mismatch=RawWeights(level="token"))), TRUE) > 0.05


def test_the_mean_reward_is_the_policys_only_if_corrected() -> None:
    engine, meant = engine_of(PAIR, None), PAIR.behavior(None)
    logprobs = TokenLogprobs(PAIR.policy_logprobs, engine.logprobs, meant.logprobs)
    true = float((PAIR.policy_logprobs.sum(-1).exp() * PAIR.rewards).sum())
    means = [
        float((engine.law * one(logprobs, RAW, MASK, torch.arange(COUNT)).weights[:, 0] * PAIR.rewards).sum())
        for one in (OneFactor(), RAW_TWO, Uncorrected())
    ]
    assert means[:2] == pytest.approx([true, true], rel=1e-12)
    assert abs(means[2] - true) > 0.02 * abs(true)


@pytest.mark.parametrize(
    "treatment", [RAW, ClippedWeights(), MaskedWeights(level="token")], ids=lambda t: type(t).__name__
)
@pytest.mark.parametrize(
    "correction",
    [OneFactor(), TwoFactors(), TwoFactors(mismatch=MaskedWeights()), Uncorrected()],
    ids=["one", "two", "masked", "none"],
)
def test_a_perfect_engine_changes_no_bit(treatment: WeightTreatment, correction: MismatchCorrection) -> None:
    behavior = PAIR.behavior(None).logprobs.float()
    policy, prompts = PAIR.policy_logprobs.float(), torch.arange(COUNT) // 3
    found = correction(TokenLogprobs(policy, behavior, behavior.clone()), treatment, MASK, prompts)
    raw = policy - behavior
    wanted = raw, treatment(raw, MASK, prompts), treatment.clipping(raw, MASK, prompts)
    assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))


def test_two_factors_bound_each_part_on_its_own() -> None:
    """One answer of two tokens: π_θ/q = 3 · 4 = 12, cut at 10; q/μ = 5 and 0.5, the first cut at 2."""
    mask, prompts = torch.tensor([[True, True, False]]), torch.zeros(1, dtype=torch.int64)
    recomputed = torch.zeros(1, 3)
    policy, behavior = torch.tensor([[3.0, 4.0, 9.0]]).log(), -torch.tensor([[5.0, 0.5, 9.0]]).log()
    found = TwoFactors()(TokenLogprobs(policy, behavior, recomputed), ClippedWeights(), mask, prompts)
    torch.testing.assert_close(found.weights, torch.tensor([[20.0, 5.0, 0.0]]))
    torch.testing.assert_close(found.log_weights[mask].exp(), torch.tensor([15.0, 2.0]))
    assert found.clipping.tolist() == [[1.0, 1.0, 0.0]]
