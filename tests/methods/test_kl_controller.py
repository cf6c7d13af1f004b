import pytest

from qstar_pl.errors import UserError
from qstar_pl.methods.kl_controller import AdaptiveKL, FixedKL


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
