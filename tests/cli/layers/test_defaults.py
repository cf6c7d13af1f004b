import pytest

from qstar_pl.cli.layers.defaults import snake_case


@pytest.mark.parametrize(
    ("name", "expected"),
    [("QStar", "q_star"), ("DPO", "dpo"), ("SFT", "sft"), ("RewardModeling", "reward_modeling"), ("LEDPO", "ledpo")],
)
def test_snake_case(name: str, expected: str) -> None:
    assert snake_case(name) == expected
