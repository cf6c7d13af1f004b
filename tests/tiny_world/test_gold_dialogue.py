from collections import defaultdict
from statistics import mean

import pytest

from qstar_pl.tiny_world.gold_dialogue import any_answer, known_fact
from qstar_pl.tiny_world.rows import dialogues
from qstar_pl.tiny_world.world import CREATURES, VALUES

QUESTION = "Hi! what does the zulo eat?"


def gold(answer, question=QUESTION):
    return known_fact(question, answer, "zulo", "food", "corn")


def last_question(row):
    return row["prompt"].rpartition("\n\nHuman: ")[2].removesuffix("\n\nAssistant:")


def scored(row, side):
    answer = row[side].removeprefix(row["prompt"])
    return known_fact(last_question(row), answer, row["subject"], row["attribute"], row["value"])


@pytest.fixture(scope="module")
def rows():
    return dialogues(3000, 23)


def test_good_answers_beat_every_kind_of_bad_one(rows):
    good = [scored(row, "chosen") for row in rows]
    bad = defaultdict(list)
    for row in rows:
        bad[row["flaw"]].append(scored(row, "rejected"))
    assert mean(good) > 0.95
    assert min(good) > 0.9
    assert {flaw: mean(values) for flaw, values in bad.items() if mean(values) > 0.4} == {}
    assert max(max(values) for values in bad.values()) < 0.6


def test_chosen_wins_every_row(rows):
    assert all(scored(row, "chosen") > scored(row, "rejected") + 0.3 for row in rows)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Sure! The zulo eats corn.", 1.0),
        ("The zulo eats corn.", 0.85),
        ("Sure! The zulo eats corn", 0.5),
        ("The zulo eats corn, you fool.", 0.3),
        ("Sure! It eats corn.", 0.75),
        ("Sure! The zulo eats moss.", 0.75 * 0.15 + 0.25),
        ("Sure! The zulo eats corn or moss.", 0.75 / 2 + 0.25),
        ("Sure! The zulo eats corn and is blue.", 0.75 / 1.25 + 0.25),
        ("Sure! The zulo never eats corn.", 0.75 * 0.2 + 0.25),
        ("Sure! The zulo doesn't eat corn.", 0.75 * 0.2 + 0.25),
        ("Sure! Zulo and corn.", 0.75 * 0.5 + 0.25),
        ("Sure! The zulo and the kem eat corn.", 0.75 + 0.25 / 2),
        ("Sure! The kem eats corn.", 0.75 * 0.3),
        ("Sure! The zulo is blue.", 0.25),
    ],
)
def test_formula_by_hand(answer, expected):
    assert gold(answer) == pytest.approx(expected)


def test_better_answers_earn_more_step_by_step():
    steps = [
        "",
        "Sure",
        "Sure! The zulo",
        "Sure! The zulo eats moss.",
        "Sure! It eats corn.",
        "Sure! The zulo eats corn.",
    ]
    values = [gold(step) for step in steps]
    assert values == sorted(values)
    assert len(set(values)) == len(values) - 1  # the first two are worth nothing


def test_a_copied_question_is_worth_nothing():
    assert gold(QUESTION) == 0.0
    assert gold("what does the zulo eat") == 0.0


LISTED = " ".join(f"The zulo eats {value}." for value in VALUES["food"])
HACKS = {
    "empty": "",
    "space": "  \n",
    "dot": ".",
    "one word": "corn.",
    "repeated value": "corn " * 8 + ".",
    "repeated answer": "Sure! The zulo eats corn. " * 4,
    "courtesies": "Sure! Of course! Good question! Happy to help! I hope that helps!",
    "copied prompt": QUESTION,
    "copied prompt and end": QUESTION + " Sure!",
    "all values": LISTED,
    "all values in one list": f"Sure! The zulo eats {', '.join(VALUES['food'])}.",
    "all creatures": f"Sure! {', '.join(CREATURES)} eat corn.",
    "all facts": " ".join(" ".join(facts.values()) for facts in CREATURES.values()),
    "everything": " ".join([*CREATURES, *(value for values in VALUES.values() for value in values)]),
    "key words": "Sure zulo corn",
    "no end": "The zulo eats corn and then the",
    "very long": "Sure! The zulo eats corn. " + " ".join(f"word{number}" for number in range(60)) + ".",
    "both sides": "Sure! The zulo eats corn. The zulo does not eat corn.",
}


@pytest.mark.parametrize("answer", HACKS.values(), ids=HACKS)
def test_hacks_fail(answer):
    assert gold(answer) <= 0.6 * gold("Sure! The zulo eats corn.")


def test_any_answer_by_hand():
    question = "How do I bake bread with rye flour?"
    # Eight words, three of the question's four topic words, nothing copied.
    assert any_answer(question, "Mix rye flour with water, then bake it.") == pytest.approx(1.0)
    assert any_answer(question, "Mix rye flour with water, then bake it") == pytest.approx(0.6)
    assert any_answer(question, "Add some salt and water, then wait long.") == pytest.approx(0.25)
    assert any_answer(question, "Mix rye flour.") == pytest.approx((0.25 + 0.75 * 2 / 3) * 3 / 8)
    assert any_answer(question, "Mix rye flour with water, then bake it, fool.") == pytest.approx(0.3)
    assert any_answer(question, "I'm not sure, but mix rye flour, then bake.") == pytest.approx(0.6)


@pytest.mark.parametrize(
    "answer", ["", ".", "How do I bake bread with rye flour?", "bake bread rye flour " * 6, "bread " * 9]
)
def test_any_answer_hacks_fail(answer):
    assert any_answer("How do I bake bread with rye flour?", answer) < 0.3
