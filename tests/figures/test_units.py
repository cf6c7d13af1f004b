import pytest

from qstar_pl.figures import with_unit


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("step", "optimizer step"),
        ("kl/policy_reference", "kl/policy_reference, nats"),
        ("val/kl_policy_reference", "val/kl_policy_reference, nats"),
        ("test/logps/chosen", "test/logps/chosen, nats"),
        ("tokens/per_s", "tokens/per_s, tokens/s"),
        ("tokens/total", "tokens/total, tokens"),
        ("time/wall_s", "time/wall_s, s"),
        ("reward/gold", "reward/gold"),
    ],
    ids=range(8),
)
def test_a_unit_is_named_where_it_is_known(key: str, name: str) -> None:
    assert with_unit(key) == name
