import pytest

from qstar_pl.data import HelpSteer, HelpSteerPreference, RowRejected
from qstar_pl.errors import UserError

RATED = {"prompt": "Why?", "response": "So.", "helpfulness": 3, "verbosity": 1}


def test_a_response_that_does_not_help_is_no_demonstration():
    chosen = [HelpSteer().example({**RATED, "helpfulness": mark}, "f:1").chosen for mark in range(5)]
    assert chosen == [None, None, None, "So.", "So."]
    assert HelpSteer(min_helpfulness=1).example({**RATED, "helpfulness": "1"}, "f:1").chosen == "So."
    assert HelpSteer().example(RATED, "f:1").metadata == {"source": "f:1", "helpfulness": 3, "verbosity": 1}
    with pytest.raises(UserError, match="f:1: helpfulness must be a number, got NoneType"):
        HelpSteer().example({**RATED, "helpfulness": None}, "f:1")


def test_marked_turns():
    marked = "Why?\n<extra_id_1>Assistant\nSo.\n<extra_id_1>User\nAnd?"
    turns = HelpSteer().example({**RATED, "prompt": marked}, "f:1").turns
    assert [(turn.role, turn.content) for turn in turns] == [("user", "Why?"), ("assistant", "So."), ("user", "And?")]


@pytest.mark.parametrize("strength", [-3, -1, 1, 2])
@pytest.mark.parametrize(
    ("names", "column"),
    [(("response1", "response2"), "overall_preference"), (("response_1", "response_2"), "preference_strength")],
)
def test_below_zero_the_first_is_better(names, column, strength):
    context = [{"role": "user", "content": "Why?"}]
    row = {"context": context, "prompt": "Why?", names[0]: "first", names[1]: "second", column: strength}
    del row["context" if column == "preference_strength" else "prompt"]
    example = HelpSteerPreference().example(row, "f:1")
    assert (example.chosen, example.rejected) == (("first", "second") if strength < 0 else ("second", "first"))
    assert (example.turns[0].content, example.metadata["margin"]) == ("Why?", abs(strength))
    with pytest.raises(RowRejected, match="a tie"):
        HelpSteerPreference().example({**row, column: 0}, "f:1")
