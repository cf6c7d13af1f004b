import pytest

from qstar_pl.errors import UserError
from qstar_pl.models.reward_parametrisation import Autoregressive, SequenceHead, TokenRewards


def test_only_a_free_mean_is_centered() -> None:
    assert (SequenceHead().centring, TokenRewards().centring, Autoregressive().centring) == (0.01, 0.01, 0.0)


@pytest.mark.parametrize("kind", [Autoregressive, TokenRewards])
@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_scale_must_be_positive(kind: type[Autoregressive], scale: float) -> None:
    with pytest.raises(UserError, match="scale must be positive"):
        kind(scale=scale)
