import pytest

from qstar_pl.cli.layers.names import check_name, snake_case
from qstar_pl.errors import UserError


@pytest.mark.parametrize(
    ("name", "expected"),
    [("QStar", "q_star"), ("DPO", "dpo"), ("SFT", "sft"), ("RewardModeling", "reward_modeling"), ("LEDPO", "ledpo")],
)
def test_snake_case(name: str, expected: str) -> None:
    assert snake_case(name) == expected


@pytest.mark.parametrize("name", ["a/../../b", "..", "../x", "/tmp/x", "~/x", ".", "a//b", "a/", "a\\..\\..\\b"])
def test_a_name_that_leads_out_of_the_folder(name: str) -> None:
    with pytest.raises(UserError, match=r"^name must name a folder inside trainer\.default_root_dir"):
        check_name(name)


@pytest.mark.parametrize("name", [None, "a", "study/a", "a..b", "...", "a b", "ä", ".hidden"])
def test_a_name_inside(name: str | None) -> None:
    check_name(name)
