import pytest
import torch
from reference.toy_training import make_rows, report_of

from qstar_pl.errors import UserError
from qstar_pl.methods.strategies.kl_controller import AdaptiveKL, FixedKL, kl_of_answers


def test_fixed_stays():
    assert FixedKL().next(0.1, 100.0, 64) == 0.1


@pytest.mark.parametrize(("kl", "expected"), [(6.0, 0.1), (6.6, 0.1 * 1.01), (60.0, 0.1 * 1.02), (0.0, 0.1 * 0.98)])
def test_adaptive_moves_towards_the_target_by_at_most_a_fifth_per_horizon(kl, expected):
    assert AdaptiveKL(target=6.0, horizon=1000).next(0.1, kl, 100) == pytest.approx(expected)


def test_bad_options():
    with pytest.raises(UserError, match="target must be positive"):
        AdaptiveKL(target=0)
    with pytest.raises(UserError, match="horizon must be at least 1"):
        AdaptiveKL(horizon=0)


def test_the_divergence_is_that_of_the_policy_though_the_answers_are_not_its_own():
    """Σ_t w_t log π_old/π_init per answer: leaving the weights out gives another number."""
    rows = make_rows(12, 5)
    report = report_of(rows, torch.zeros(()))
    kl, answers = kl_of_answers(report.weighted, report.reference_logprobs, all_sum=lambda total: total)
    nats = (rows["policy"] - rows["reference"]) * rows["mask"]
    assert answers == 12
    assert kl == pytest.approx(float((rows["weights"] * nats).sum()) / 12, rel=1e-5)
    assert kl != pytest.approx(float(nats.sum()) / 12, rel=0.1)
    # Two ranks: both sums are taken over them before the ratio is formed.
    both, of_both = kl_of_answers(report.weighted, report.reference_logprobs, all_sum=lambda total: 2 * total)
    assert (both, of_both) == (pytest.approx(kl), 24)
