import re
from collections import Counter
from itertools import pairwise

import pytest

from qstar_pl.tiny_world.dialogues import FLAWS
from qstar_pl.tiny_world.rows import dialogues
from qstar_pl.tiny_world.world import COURTESIES, CREATURES


@pytest.fixture(scope="module")
def rows():
    return dialogues(2000, 11)


def test_native_form(rows):
    for row in rows:
        assert re.fullmatch(
            r"(\n\nHuman: [^\n]+\n\nAssistant: [^\n]+){0,2}\n\nHuman: [^\n]+\n\nAssistant:", row["prompt"]
        )
        for side in ("chosen", "rejected"):
            assert row[side].startswith(row["prompt"] + " ")
            answer = row[side].removeprefix(row["prompt"])
            assert answer == f" {answer.strip()}"
            assert "\n" not in answer
            assert len(answer.split()) >= 2


def test_one_to_three_turns(rows):
    turns = Counter(row["prompt"].count("\n\nHuman:") for row in rows)
    assert set(turns) == {1, 2, 3}
    assert min(turns.values()) > 0.1 * len(rows)
    assert turns[1] > len(rows) / 2


def test_good_answers_are_true_polite_complete_and_short(rows):
    for row in rows:
        answer = row["chosen"].removeprefix(row["prompt"])
        assert row["value"] == CREATURES[row["subject"]][row["attribute"]]
        assert re.search(rf"\b{row['value']}\b", answer)
        assert re.search(rf"\b{row['subject']}\b", answer)
        assert any(courtesy in answer for courtesy in COURTESIES)
        assert answer[-1] in ".!"
        assert len(answer.split()) <= 18


def test_every_flaw_and_every_fact_occurs(rows):
    flaws = Counter(row["flaw"] for row in rows)
    assert set(flaws) == set(FLAWS)
    assert min(flaws.values()) > 0.1 * len(rows)
    assert len({(row["subject"], row["attribute"]) for row in rows}) == 4 * len(CREATURES)


def test_it_means_the_creature_of_the_turn_before(rows):
    followed = 0
    for row in rows:
        questions = re.findall(r"Human: ([^\n]+)", row["prompt"])
        if len(questions) == 1 or re.search(rf"\b{row['subject']}\b", questions[-1]):
            continue
        followed += 1
        assert " it" in questions[-1]
        named = [next((name for name in CREATURES if re.search(rf"\b{name}\b", text)), None) for text in questions]
        assert [name for name in named if name][-1] == row["subject"]
    assert followed > 100


def test_flaws_differ_from_the_good_answer(rows):
    for row in rows:
        answer = row["rejected"].removeprefix(row["prompt"]).strip()
        right = row["subject"] in answer and re.search(rf"\b{row['value']}\b", answer)
        match row["flaw"]:
            case "rambling":
                sentences = answer.split(". ")
                assert len(sentences) >= 3
                assert all(one.strip(".") == other.strip(".") for one, other in pairwise(sentences))
            case "cut_off":
                assert answer[-1] not in ".!?,"
            case _:
                assert not right
