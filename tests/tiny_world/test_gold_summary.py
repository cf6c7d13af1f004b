from collections import defaultdict
from statistics import mean

import pytest

from qstar_pl.tiny_world.gold_summary import any_summary, known_story
from qstar_pl.tiny_world.posts import PROBLEMS, WHO, WISHES
from qstar_pl.tiny_world.rows import posts

POST = (
    "POST: I share a small house with my sister. She broke my old bike, and it makes me sad. The bus was full this "
    "morning. I really want to buy a new lock now."
)
GOOD = "My sister broke my old bike and I want to buy a new lock."


def gold(answer):
    return known_story(POST, answer, "sister", "broke my old bike", "buy a new lock")


def scored(row, side):
    post = row["prompt"].removesuffix("TL;DR:")
    return known_story(post, row[side], row["who"], row["problem"], row["wish"])


@pytest.fixture(scope="module")
def rows():
    return posts(2000, 23)


def test_good_summaries_beat_every_kind_of_bad_one(rows):
    good = [scored(row, "chosen") for row in rows]
    bad = defaultdict(list)
    for row in rows:
        bad[row["flaw"]].append(scored(row, "rejected"))
    assert min(good) > 0.9
    assert {flaw: mean(values) for flaw, values in bad.items() if mean(values) > 0.5} == {}


def test_chosen_wins_every_row(rows):
    assert all(scored(row, "chosen") > scored(row, "rejected") + 0.2 for row in rows)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (GOOD, 1.0),
        (GOOD.rstrip("."), 0.5),
        ("My sister broke my old bike.", 0.2 + 0.4),
        ("I want to buy a new lock.", 0.4),
        ("My sister broke my old bike. I want to buy a new lock.", 0.7),
        # Half for the words, none for the pairs; all of it in the post.
        ("My sister: bike and lock, old, broke, new, buy.", 0.2 + 0.2 + 0.2),
        # One of three topic words (bike) is not in the post.
        ("My sister broke my boat and boat.", (0.2 + 0.4 * (0.5 / 3 + 0.5 / 3)) * 2 / 3),
    ],
)
def test_formula_by_hand(answer, expected):
    assert gold(answer) == pytest.approx(expected)


def test_two_persons_halve_the_first_part():
    # "brother" is not in the post either: four of seven topic words plus sister, brother.
    both = gold("My sister and brother broke my old bike and I want to buy a new lock.")
    assert both == pytest.approx((0.1 + 0.8) * 7 / 8)


HACKS = {
    "empty": "",
    "dot": ".",
    "copied": POST,
    "copied without ends": POST.replace(".", ""),
    "first sentence": "I share a small house with my sister.",
    "repeated": (GOOD + " ") * 3,
    "one phrase repeated": "broke my old bike " * 5 + ".",
    "all parts": " ".join([*WHO, *PROBLEMS, *WISHES]) + ".",
    "all wishes": "My sister broke my old bike and I want to " + ", ".join(WISHES) + ".",
    "key words": "sister bike lock old new broke buy.",
    "prompt": "TL;DR:",
}


@pytest.mark.parametrize("answer", HACKS.values(), ids=HACKS)
def test_hacks_fail(answer):
    assert gold(answer) < 0.61


def test_any_summary():
    post = (
        "My dog chewed the sofa and the sofa was new. The dog is young. I paid for the sofa with money I saved for "
        "months, and now I wonder whether the dog needs training or the sofa needs a cover, or both of them at once."
    )
    good = any_summary(post, "Young dog chewed my new sofa, I wonder whether the dog needs training.")
    assert good > 0.9
    assert any_summary(post, "Young dog chewed my new sofa, I wonder whether the dog needs training") == good / 2
    assert any_summary(post, post) == 0.0
    assert any_summary(post, "") == 0.0
    assert any_summary(post, "dog sofa " * 6 + ".") < 0.3
    assert any_summary(post, "A cat slept on a chair in the kitchen.") == 0.0
