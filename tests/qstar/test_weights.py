import dataclasses
import math

import pytest
import torch

from qstar_pl.errors import UserError
from qstar_pl.qstar.weights import (
    ClippedWeights,
    MaskedWeights,
    MeanNormalisedWeights,
    ParetoSmoothedWeights,
    RawWeights,
    SelfNormalisedWeights,
    TruncatedWeights,
    Unweighted,
)

LOG_WEIGHTS = torch.tensor([[0.5, -0.25, 9.0], [1.0, 9.0, 9.0], [-2.0, 0.0, 1.0], [0.1, 0.2, 9.0]])
MASK = torch.tensor([[True, True, False], [True, False, False], [True, True, True], [True, True, False]])
PROMPT = torch.tensor([0, 0, 1, 1])
SEQUENCE = [math.exp(0.25), math.exp(1.0), math.exp(-1.0), math.exp(0.3)]


def rows(weights: torch.Tensor) -> list[float]:
    """The one weight of each row; it must be the same at every counted position, and 0 elsewhere."""
    assert (weights[~MASK] == 0).all()
    first = weights[:, :1]
    torch.testing.assert_close(weights[MASK], first.expand_as(weights)[MASK])
    return first.squeeze(-1).tolist()


def test_sequence_level_weights_are_products_over_counted_tokens():
    assert rows(RawWeights()(LOG_WEIGHTS, MASK, PROMPT)) == pytest.approx(SEQUENCE, rel=1e-6)


def test_token_level_weights_are_per_token():
    weights = RawWeights(level="token")(LOG_WEIGHTS, MASK, PROMPT)
    torch.testing.assert_close(weights[MASK], LOG_WEIGHTS[MASK].exp())
    assert (weights[~MASK] == 0).all()


@pytest.mark.parametrize("level", ["token", "sequence"])
def test_unweighted_is_one(level):
    weights = Unweighted(level=level)(LOG_WEIGHTS, MASK, PROMPT)
    assert torch.equal(weights, MASK.float())


def test_clipping_bounds_both_sides():
    assert rows(ClippedWeights(low=0.5, high=2.0)(LOG_WEIGHTS, MASK, PROMPT)) == pytest.approx(
        [SEQUENCE[0], 2.0, 0.5, SEQUENCE[3]], rel=1e-6
    )


def test_masking_leaves_out_what_is_outside():
    treatment = MaskedWeights(low=0.5, high=2.0)
    assert rows(treatment(LOG_WEIGHTS, MASK, PROMPT)) == pytest.approx([SEQUENCE[0], 0.0, 0.0, SEQUENCE[3]], rel=1e-6)
    assert treatment.clipping(LOG_WEIGHTS, MASK, PROMPT)[:, 0].tolist() == [0, 1, 1, 0]
    infinite = torch.tensor([[torch.inf], [-torch.inf]])
    assert treatment(infinite, torch.ones(2, 1, dtype=torch.bool), PROMPT[:2]).tolist() == [[0.0], [0.0]]


def test_clipping_says_which_weights_a_bound_changed():
    """Whole answers weigh 1.28, 2.72, 0.37, 1.35."""
    treatment = ClippedWeights(low=0.5, high=2.0)
    assert treatment.clipping(LOG_WEIGHTS, MASK, PROMPT)[:, 0].tolist() == [0, 1, -1, 0]
    assert (treatment.clipping(LOG_WEIGHTS, MASK, PROMPT)[~MASK] == 0).all()
    by_token = ClippedWeights(low=0.5, high=2.0, level="token").clipping(LOG_WEIGHTS, MASK, PROMPT)
    assert by_token.tolist() == [[0, 0, 0], [1, 0, 0], [-1, 0, 1], [0, 0, 0]]
    for other in (RawWeights(), Unweighted(), SelfNormalisedWeights(), ParetoSmoothedWeights()):
        assert not other.clipping(LOG_WEIGHTS, MASK, PROMPT).any()


@pytest.mark.parametrize("bounds", [(0.5, 1.0), (1.0, 2.0)])
def test_a_weight_at_its_bound_is_not_clipped(bounds):
    treatment = ClippedWeights(low=bounds[0], high=bounds[1])
    assert not treatment.clipping(torch.zeros(3, 2), torch.ones(3, 2, dtype=torch.bool), torch.arange(3)).any()


@pytest.mark.parametrize("treatment", [ClippedWeights(low=0.5, high=2.0), TruncatedWeights()])
@pytest.mark.parametrize("level", ["token", "sequence"])
def test_what_is_not_clipped_is_raw(treatment, level):
    treatment = dataclasses.replace(treatment, level=level)
    log_weights = torch.tensor([[0.0, 3.0], [0.0, -0.5], [0.1, -1.0], [0.2, 0.0]])
    mask, prompt = torch.ones(4, 2, dtype=torch.bool), torch.zeros(4).long()
    weights, clipping = treatment(log_weights, mask, prompt), treatment.clipping(log_weights, mask, prompt)
    raw = RawWeights(level=level)(log_weights, mask, prompt)
    assert bool(clipping.any())
    assert torch.equal(weights[clipping == 0], raw[clipping == 0])
    assert (weights[clipping > 0] < raw[clipping > 0]).all()
    assert (weights[clipping < 0] > raw[clipping < 0]).all()


def test_mean_normalized_weights_average_to_one_over_the_batch():
    mean = sum(SEQUENCE) / 4
    expected = [weight / mean for weight in SEQUENCE]
    assert rows(MeanNormalisedWeights()(LOG_WEIGHTS, MASK, PROMPT)) == pytest.approx(expected, rel=1e-6)


def test_self_normalized_weights_average_to_one_per_prompt():
    means = [(SEQUENCE[0] + SEQUENCE[1]) / 2] * 2 + [(SEQUENCE[2] + SEQUENCE[3]) / 2] * 2
    expected = [weight / mean for weight, mean in zip(SEQUENCE, means, strict=True)]
    assert rows(SelfNormalisedWeights()(LOG_WEIGHTS, MASK, PROMPT)) == pytest.approx(expected, rel=1e-6)


def test_self_normalized_weights_do_not_depend_on_what_shares_the_micro_batch():
    treatment = SelfNormalisedWeights()
    whole = treatment(LOG_WEIGHTS, MASK, PROMPT)
    halves = [treatment(LOG_WEIGHTS[i : i + 2], MASK[i : i + 2], PROMPT[i : i + 2]) for i in (0, 2)]
    torch.testing.assert_close(whole, torch.cat(halves))


def test_truncated_weights_are_cut_at_root_n_times_the_prompts_mean():
    log_weights = torch.tensor([0.0, 0.0, 0.0, 3.0, 0.5, 0.5]).unsqueeze(-1)
    prompt = torch.tensor([0, 0, 0, 0, 1, 1])
    cap = 2 * (3 + math.exp(3)) / 4
    weights = TruncatedWeights()(log_weights, torch.ones(6, 1, dtype=torch.bool), prompt).squeeze(-1)
    assert weights.tolist() == pytest.approx([1, 1, 1, cap, math.exp(0.5), math.exp(0.5)], rel=1e-6)


def test_pareto_smoothing_shortens_the_tail_and_leaves_the_rest():
    log_weights = 2 * torch.randn(400, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mask, prompt = torch.ones(400, 1, dtype=torch.bool), torch.zeros(400).long()
    raw = RawWeights()(log_weights, mask, prompt)
    smoothed = ParetoSmoothedWeights()(log_weights, mask, prompt)
    tail = raw >= raw.flatten().sort().values[-60]
    torch.testing.assert_close(smoothed[~tail], raw[~tail])
    assert smoothed.max() <= raw.max()
    assert not torch.equal(smoothed[tail], raw[tail])


def test_too_few_weights_for_a_tail_stay_raw_and_say_so():
    log_weights = torch.randn(20, 1, generator=torch.Generator().manual_seed(0))
    mask, prompt = torch.ones(20, 1, dtype=torch.bool), torch.zeros(20).long()
    with pytest.warns(RuntimeWarning, match="20 weights of a micro-batch have no tail to smooth"):
        few = ParetoSmoothedWeights()(log_weights, mask, prompt)
    assert torch.equal(few, RawWeights()(log_weights, mask, prompt))
    log_weights, mask, prompt = (torch.cat([part, part[:1]]) for part in (log_weights, mask, prompt))
    log_weights[-1] = 3.0
    enough = ParetoSmoothedWeights()(log_weights, mask, prompt)
    assert not torch.equal(enough, RawWeights()(log_weights, mask, prompt))


def test_normalized_weights_survive_log_weights_that_overflow_exp():
    for treatment in (SelfNormalisedWeights(), MeanNormalisedWeights()):
        weights = treatment(torch.tensor([[500.0], [499.0]]), torch.ones(2, 1, dtype=torch.bool), torch.zeros(2).long())
        assert weights.isfinite().all()
        assert weights.mean().item() == pytest.approx(1.0)


@pytest.mark.parametrize("level", ["token", "sequence"])
@pytest.mark.parametrize(
    "treatment",
    [RawWeights, MeanNormalisedWeights, SelfNormalisedWeights, TruncatedWeights, ParetoSmoothedWeights],
)
def test_answers_that_the_policy_never_gives_weigh_nothing(treatment, level):
    """Of a whole prompt, and of a whole micro-batch; 30 answers are enough for a tail."""
    log_weights = torch.randn(30, 2, generator=torch.Generator().manual_seed(0))
    mask, prompt = torch.ones(30, 2, dtype=torch.bool), torch.arange(30) // 15
    log_weights[:15] = -torch.inf
    one = treatment(level=level)(log_weights, mask, prompt)
    assert (one[:15] == 0).all()
    assert one.isfinite().all()
    assert (one[15:] > 0).all()
    assert (treatment(level=level)(torch.full_like(log_weights, -torch.inf), mask, prompt) == 0).all()


def test_extra_pads_change_nothing():
    padded = torch.cat([LOG_WEIGHTS, torch.full((4, 50), 7.0)], dim=1)
    mask = torch.cat([MASK, torch.zeros(4, 50, dtype=torch.bool)], dim=1)
    for level in ("token", "sequence"):
        for kind in (RawWeights, ClippedWeights, MeanNormalisedWeights, SelfNormalisedWeights):
            treatment = kind(level=level)
            torch.testing.assert_close(treatment(padded, mask, PROMPT)[:, :3], treatment(LOG_WEIGHTS, MASK, PROMPT))


def test_weights_are_constants_of_the_loss():
    assert not RawWeights()(LOG_WEIGHTS.clone().requires_grad_(), MASK, PROMPT).requires_grad


def test_bad_bounds_are_named():
    with pytest.raises(UserError, match="low=2"):
        ClippedWeights(low=2, high=1)
