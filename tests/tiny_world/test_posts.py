from collections import Counter

import pytest

from qstar_pl.tiny_world.posts import FLAWS, PROBLEMS, WHO, WISHES
from qstar_pl.tiny_world.rows import posts
from qstar_pl.tiny_world.text import sentences, words


@pytest.fixture(scope="module")
def rows():
    return posts(1500, 11)


def test_native_form(rows):
    for row in rows:
        assert row["prompt"].startswith("POST: ")
        assert row["prompt"].endswith("\n\nTL;DR:")
        text = row["prompt"].removeprefix("POST: ").removesuffix("\n\nTL;DR:")
        assert 3 <= len(sentences(text)) <= 5
        assert row["who"] in text
        assert row["problem"] in text
        assert row["wish"] in text


def test_the_pronoun_follows_the_person(rows):
    for row in rows:
        parts = row["prompt"].split(". ")
        trouble = next(number for number, part in enumerate(parts) if row["problem"] in part)
        assert parts[trouble].startswith(WHO[row["who"]] + " ")
        assert row["who"] in parts[trouble - 1]


def test_all_numbers_of_sentences_occur(rows):
    counts = Counter(len(sentences(row["prompt"].partition("\n\n")[0])) for row in rows)
    assert set(counts) == {3, 4, 5}


def test_good_summaries_say_all_in_one_short_sentence(rows):
    for row in rows:
        assert all(part in row["chosen"] for part in (row["who"], row["problem"], row["wish"]))
        assert len(sentences(row["chosen"])) == 1
        assert len(words(row["chosen"])) <= 18
        assert len(words(row["chosen"])) < 0.75 * len(words(row["prompt"]))


def test_every_story_part_and_flaw_occurs(rows):
    assert {row["who"] for row in rows} == set(WHO)
    assert {row["problem"] for row in rows} == set(PROBLEMS)
    assert {row["wish"] for row in rows} == set(WISHES)
    flaws = Counter(row["flaw"] for row in rows)
    assert set(flaws) == set(FLAWS)
    assert min(flaws.values()) > 0.1 * len(rows)
    assert all(row["chosen"] != row["rejected"] for row in rows)
