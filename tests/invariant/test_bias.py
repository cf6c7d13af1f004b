"""How far every advantage and every treatment of the weights takes the expected gradient from the true one.

Expectations over every n-tuple of answers of `reference.enumerated.Pair`, so there is no noise; what a docstring says
of its own bias is compared with them, number by number.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
import torch
from reference.enumerated import BEFORE, COUNT, IDS, LENGTH, MASK, Behavior, Pair, error, off_direction, pull
from torch import Tensor

from qstar_pl.qstar import FixedAlpha, KLSymmetricAlpha, whitening
from qstar_pl.qstar.advantages import GAE, Advantage, GroupNormalised, LeaveOneOut, MeanBaseline, RawReward
from qstar_pl.qstar.candidates import mix_candidates, normalise_candidates
from qstar_pl.qstar.weights import (
    ClippedWeights,
    MaskedWeights,
    MeanNormalisedWeights,
    ParetoSmoothedWeights,
    RawWeights,
    SelfNormalisedWeights,
    TruncatedWeights,
    Unweighted,
    WeightTreatment,
)
from qstar_pl.qstar.whitening import whiten

PAIR = Pair()
TRUE = PAIR.reward_gradient()
POLICY, SYMMETRIC, TARGET = PAIR.behavior(1.0), PAIR.behavior(None), PAIR.behavior(0.0)


def log_weights(behavior: Behavior) -> Tensor:
    return PAIR.policy_logprobs - behavior.logprobs


def token_rewards(answers: Tensor) -> Tensor:
    rewards = torch.zeros(len(answers), LENGTH, dtype=torch.float64)
    rewards[torch.arange(len(answers)), MASK[answers].sum(-1) - 1] = PAIR.rewards[answers]
    return rewards


def gradient(
    behavior: Behavior, n: int, advantage: Advantage = LeaveOneOut(), weights: WeightTreatment = RawWeights()
) -> Tensor:
    def coefficients(answers: Tensor, prompt_index: Tensor) -> Tensor:
        mask = MASK[answers]
        treated = weights(log_weights(behavior)[answers], mask, prompt_index)
        return treated * advantage.estimate(token_rewards(answers), None, mask, prompt_index)

    return PAIR.expected_gradient(behavior, n, coefficients)


def says(thing: Any, *numbers: float) -> bool:
    """Whether the docstring has all the numbers, to the two digits that it gives."""
    text = inspect.getdoc(thing) or ""
    found = {float(number) for number in re.findall(r"-?\d+\.\d\d", text)}
    return all(round(number, 2) in found for number in numbers)


@pytest.mark.parametrize("behavior", [POLICY, SYMMETRIC, TARGET], ids=["policy", "symmetric", "target"])
@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("advantage", [RawReward(), LeaveOneOut()])
def test_what_is_called_unbiased_is(advantage, n, behavior) -> None:
    assert error(gradient(behavior, n, advantage), TRUE) < 1e-9
    assert "unbiased" in (inspect.getdoc(type(advantage)) or "")
    assert "unbiased" in (inspect.getdoc(RawWeights) or "")


@pytest.mark.parametrize("behavior", [POLICY, SYMMETRIC, TARGET], ids=["policy", "symmetric", "target"])
@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_mean_baseline_shrinks_and_does_not_turn(n, behavior) -> None:
    torch.testing.assert_close(gradient(behavior, n, MeanBaseline()), (n - 1) / n * TRUE)


def test_group_normalization() -> None:
    on, off = gradient(POLICY, 4, GroupNormalised()), gradient(SYMMETRIC, 4, GroupNormalised())
    assert says(GroupNormalised, pull(on, TRUE), error(on, TRUE), pull(off, TRUE), error(off, TRUE))
    assert off_direction(on, TRUE) > 0.01


TREATMENTS = [
    (Unweighted(), Unweighted),
    (ClippedWeights(), ClippedWeights),
    (MaskedWeights(), MaskedWeights),
    (SelfNormalisedWeights(), SelfNormalisedWeights),
    (TruncatedWeights(), TruncatedWeights),
]


@pytest.mark.parametrize(("weights", "documented"), TREATMENTS, ids=[type(w).__name__ for w, _ in TREATMENTS])
def test_treatments_say_their_bias(weights, documented) -> None:
    near, far = gradient(SYMMETRIC, 4, weights=weights), gradient(TARGET, 4, weights=weights)
    figures = (pull(near, TRUE), error(near, TRUE), pull(far, TRUE), error(far, TRUE))
    assert says(documented, *figures), figures
    assert min(error(near, TRUE), error(far, TRUE)) > 0.02
    assert error(gradient(POLICY, 4, weights=weights), TRUE) < 1e-9


def test_token_level_weights_say_their_bias() -> None:
    near, far = (gradient(b, 4, weights=RawWeights(level="token")) for b in (SYMMETRIC, TARGET))
    source = inspect.getsource(WeightTreatment)
    for figure in (pull(near, TRUE), error(near, TRUE), pull(far, TRUE), error(far, TRUE)):
        assert f"{figure:.2f}" in source


def test_effective_sizes_and_clipped_shares_are_those_that_are_said() -> None:
    from qstar_pl.qstar import weights as module

    shares, sizes = [], []
    for behavior in (SYMMETRIC, TARGET):
        raw = log_weights(behavior)
        clipping = ClippedWeights().clipping(raw, MASK, torch.arange(COUNT))
        shares.append((float(behavior.law[clipping[:, 0] < 0].sum()), float(behavior.law[clipping[:, 0] > 0].sum())))
        sizes.append(1 / float((behavior.law * raw.sum(-1).exp().square()).sum()))
    assert says(module, *sizes)
    text = inspect.getdoc(ClippedWeights) or ""
    assert all(f"{round(100 * share)}%" in text for share in (shares[0][0], *shares[1]))
    assert shares[0][1] == 0


def test_one_prompt_in_a_micro_batch_is_normalized_as_by_its_own_mean() -> None:
    raw = log_weights(TARGET)[torch.tensor([3, 8, 11, 2])]
    mask, prompt = MASK[torch.tensor([3, 8, 11, 2])], torch.zeros(4).long()
    one, other = MeanNormalisedWeights()(raw, mask, prompt), SelfNormalisedWeights()(raw, mask, prompt)
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize(("behavior", "share"), [(SYMMETRIC, 1.0), (TARGET, 0.87)], ids=["symmetric", "target"])
def test_pareto_smoothing(behavior, share) -> None:
    """Simulated: 32 answers have too many tuples, and fewer than 21 have no tail to fit."""
    sets, n = 6000, 32
    drawn = torch.multinomial(behavior.law, sets * n, True, generator=torch.Generator().manual_seed(0)).view(sets, n)
    raw = log_weights(behavior).sum(-1)
    weights = torch.stack([ParetoSmoothedWeights().treat(raw[row], row * 0) for row in drawn])
    advantages = LeaveOneOut()(PAIR.rewards[drawn].flatten(), torch.arange(sets).repeat_interleave(n)).view(sets, n)
    of_answers = torch.zeros(COUNT, dtype=torch.float64)
    of_answers.index_add_(0, drawn.flatten(), (weights * advantages).flatten() / (sets * n))
    assert pull(torch.einsum("a,atp->p", of_answers, PAIR.scores), TRUE) == pytest.approx(share, abs=0.06)
    assert says(ParetoSmoothedWeights, share)


@pytest.mark.parametrize(("samples", "smoothed"), [(20, False), (21, True), (25, True)])
def test_pareto_smoothing_needs_twenty_one_answers(samples, smoothed) -> None:
    raw = 2 * torch.randn(samples, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.equal(ParetoSmoothedWeights().treat(raw, torch.zeros(samples).long()), raw.exp()) is not smoothed
    assert "at least 21" in (inspect.getdoc(ParetoSmoothedWeights) or "")


def values_of(rewards: Tensor) -> Tensor:
    """V(y_<t) of every prefix under the policy, by summing over what begins with it."""
    law, values = POLICY.law, torch.zeros(COUNT, LENGTH, dtype=torch.float64)
    for answer in range(COUNT):
        for time in range(int(MASK[answer].sum())):
            begins = (IDS[:, :time] == IDS[answer, :time]).all(-1) & MASK[:, time]
            values[answer, time] = (law * rewards)[begins].sum() / law[begins].sum()
    return values


@pytest.mark.parametrize("lam", [1.0, 0.95, 0.5, 0.0])
def test_gae(lam) -> None:
    def of(values: Tensor) -> Tensor:
        every = torch.arange(COUNT)
        return PAIR.gradient(POLICY.law, GAE(lam=lam).estimate(token_rewards(every), values, MASK, every))

    exact = values_of(PAIR.rewards)
    assert error(of(exact), TRUE) < 1e-9
    blind = of(torch.zeros_like(exact))
    if lam == 1.0:
        assert error(blind, TRUE) < 1e-9
        # Any function of what stands before the token.
        assert error(of(torch.where(MASK, torch.tensor([0.3, -1.7, 2.0]).double()[BEFORE], 0.0)), TRUE) < 1e-9
    elif lam > 0:
        assert says(GAE, pull(blind, TRUE), error(blind, TRUE))


@pytest.mark.parametrize("n", [2, 4])
def test_whitening(n) -> None:
    """Each tuple of n answers is whitened on its own, over its tokens."""

    def coefficients(answers: Tensor, prompt_index: Tensor) -> Tensor:
        mask = MASK[answers].view(-1, n * LENGTH)
        values = torch.where(MASK[answers], PAIR.rewards[answers].unsqueeze(-1), 0.0).view(-1, n * LENGTH)
        distinct, copies = torch.unique(torch.cat([values, mask.double()], 1), dim=0, return_inverse=True)
        white = torch.stack([whiten(row[: n * LENGTH], row[n * LENGTH :] > 0) for row in distinct])
        return white[copies].view(-1, LENGTH)

    found = PAIR.expected_gradient(POLICY, n, coefficients)
    assert says(whitening, pull(found, TRUE), error(found, TRUE))


@pytest.mark.parametrize("alpha", [KLSymmetricAlpha(), FixedAlpha(1.0)], ids=["symmetric", "policy"])
@pytest.mark.parametrize("candidates", [2, 3, 4])
def test_leaving_one_out_of_a_candidate_set_is_biased(candidates, alpha) -> None:
    """Two answers from one set: given the set, the other's expected reward is the baseline."""
    pools, probabilities = PAIR.tuples(POLICY.law, candidates)
    policy = PAIR.policy_logprobs.sum(-1)[pools]
    uniform = normalise_candidates(policy, policy)
    drawn = mix_candidates(uniform, normalise_candidates(PAIR.target_logprobs.sum(-1)[pools], policy), alpha)
    law, rewards = drawn.logprobs.exp(), PAIR.rewards[pools]

    def found(baseline: Tensor | float) -> Tensor:
        weighed = law * drawn.log_weights.exp() * (rewards - baseline)
        of_answers = torch.zeros(COUNT, dtype=torch.float64)
        of_answers.index_add_(0, pools.flatten(), (probabilities.unsqueeze(-1) * weighed).flatten())
        return torch.einsum("a,atp->p", of_answers, PAIR.scores)

    share = pull(found((law * rewards).sum(-1, keepdim=True)), TRUE)
    if isinstance(alpha, FixedAlpha):
        assert share == pytest.approx(1 - 1 / candidates)
    else:
        assert says(LeaveOneOut, share)
    # A baseline of another set is a number that this set knows nothing of.
    assert error(found(1.7), TRUE) < 1e-6
