import math

import numpy as np
import pytest
import torch
from reference.targets import best_of

from qstar_pl.errors import UserError
from qstar_pl.qstar import BestOfN, HighRewardConditional

PROBS = [0.1, 0.25, 0.05, 0.3, 0.2, 0.1]
TIED = [1.0, 3.0, 3.0, -2.0, 1.0, 3.0]


def law(strategy, probs=PROBS, rewards=TIED) -> list[float]:
    logprobs = torch.tensor(probs, dtype=torch.float64).log()
    out = strategy(logprobs, torch.tensor(rewards, dtype=torch.float64)).exp()
    assert float(out.sum()) == pytest.approx(1)
    return out.tolist()


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("probs", [PROBS, [1 / 6] * 6, [0.4, 0.0, 0.1, 0.0, 0.5, 0.0]])
@pytest.mark.parametrize("rewards", [TIED, [6.0, 5.0, 1.0, 2.0, 4.0, 3.0], [0.0] * 6])
def test_best_of_n_is_the_law_of_the_best_draw(n, probs, rewards) -> None:
    assert law(BestOfN(n), probs, rewards) == pytest.approx(best_of(probs, rewards, n), abs=1e-12)


def test_best_of_n_at_its_ends() -> None:
    assert law(BestOfN(1)) == pytest.approx(PROBS)
    many = law(BestOfN(10_000))
    assert many == pytest.approx([0, 0.25 / 0.4, 0.05 / 0.4, 0, 0, 0.1 / 0.4], abs=1e-12)


def test_best_of_n_keeps_the_support_in_single_precision() -> None:
    """0.003^8 is far below float32's spacing at 1, and 1 − (1 − 10⁻⁹)^n must not cancel to 0."""
    logprobs = torch.tensor([0.003, 1e-9, 0.997]).log()
    out = BestOfN(8)(logprobs, torch.tensor([0.0, 2.0, 1.0]))
    assert out[0].item() == pytest.approx(8 * math.log(0.003), rel=1e-4)
    assert out[1].item() == pytest.approx(math.log(8e-9), rel=1e-4)


def test_laws_work_on_batches_and_do_not_touch_their_arguments() -> None:
    logprobs, rewards = torch.tensor([PROBS, PROBS[::-1]]).log(), torch.tensor([TIED, TIED])
    before = logprobs.clone(), rewards.clone()
    for strategy in (BestOfN(3), HighRewardConditional(quantile=0.5), HighRewardConditional(threshold=2.0)):
        both = strategy(logprobs, rewards)
        torch.testing.assert_close(both, torch.stack([strategy(p, r) for p, r in zip(logprobs, rewards, strict=True)]))
    assert torch.equal(before[0], logprobs)
    assert torch.equal(before[1], rewards)


def conditional(kept: list[int]) -> list[float]:
    mass = sum(PROBS[i] for i in kept)
    return [PROBS[i] / mass if i in kept else 0.0 for i in range(len(PROBS))]


@pytest.mark.parametrize(
    ("strategy", "kept"),
    [
        (HighRewardConditional(threshold=1.0), [0, 1, 2, 4, 5]),
        (HighRewardConditional(threshold=1.5), [1, 2, 5]),
        (HighRewardConditional(threshold=99.0), [1, 2, 5]),  # nobody reaches it: the best stay
        (HighRewardConditional(quantile=0.0), list(range(6))),
        (HighRewardConditional(quantile=0.3), list(range(6))),  # F(−2) = 0.3 exactly
        (HighRewardConditional(quantile=0.31), [0, 1, 2, 4, 5]),
        (HighRewardConditional(quantile=0.6), [0, 1, 2, 4, 5]),  # F(1) = 0.6 up to rounding
        (HighRewardConditional(quantile=0.61), [1, 2, 5]),
        (HighRewardConditional(quantile=1.0), [1, 2, 5]),
    ],
)
def test_the_conditional_is_the_policy_above_the_bound(strategy, kept) -> None:
    assert law(strategy) == pytest.approx(conditional(kept), abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [10, 16, 48])
def test_quantiles_of_equal_shares_do_not_hang_on_rounding(count: int, dtype: torch.dtype) -> None:
    logprobs, rewards = torch.full((count,), -math.log(count), dtype=dtype), torch.arange(count, dtype=dtype)
    for lower in range(1, count + 1):
        kept = HighRewardConditional(quantile=lower / count)(logprobs, rewards) > -torch.inf
        assert kept.tolist() == [i >= lower - 1 for i in range(count)]


def test_the_conditional_ignores_candidates_without_probability() -> None:
    """The best answer and the lowest do not count: neither may set a bound."""
    probs, rewards = [0.0, 0.5, 0.5, 0.0], [9.0, 1.0, 2.0, -9.0]
    assert law(HighRewardConditional(quantile=1.0), probs, rewards) == pytest.approx([0, 0, 1, 0])
    assert law(HighRewardConditional(threshold=5.0), probs, rewards) == pytest.approx([0, 0, 1, 0])
    assert law(HighRewardConditional(quantile=0.0), probs, rewards) == pytest.approx(probs)
    nothing = [math.nan, 1.0, 2.0, math.inf]
    assert law(HighRewardConditional(quantile=1.0), probs, nothing) == pytest.approx([0, 0, 1, 0])
    assert np.isfinite(law(BestOfN(3), probs, nothing)).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_rewards_must_be_finite(bad) -> None:
    with pytest.raises(UserError, match="rewards of candidates must be finite"):
        law(BestOfN(2), [0.5, 0.5], [1.0, bad])


def test_options_out_of_range() -> None:
    with pytest.raises(UserError, match="n must be at least 1, got 0"):
        BestOfN(0)
    with pytest.raises(UserError, match=r"quantile must lie in \[0, 1\], got 1.5"):
        HighRewardConditional(quantile=1.5)
    for options in ({}, {"quantile": 0.5, "threshold": 1.0}):
        with pytest.raises(UserError, match="quantile or threshold must be given, and not both"):
            HighRewardConditional(**options)
