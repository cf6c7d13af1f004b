from qstar_pl.data.selection.left_out import lines


def test_reasons_are_sorted_and_say_where_they_are_met_first() -> None:
    assert lines({"b": 1, "a": 12}, {"a": "x.jsonl:3", "c": "x.jsonl:1"}) == [
        "  12 left out: a; first x.jsonl:3",
        "  1 left out: b",
    ]
    assert lines({}, {"a": "x.jsonl:3"}) == []
