import pytest

from qstar_pl.tiny_world import text


def test_words_and_sentences():
    assert text.words("Don’t say “Hi”, it's 3 o'clock!") == ["don’t", "say", "hi", "it's", "3", "o'clock"]
    assert text.sentences("Sure! The cat, e.g. mine, sleeps... Where? here") == [
        "Sure",
        "The cat, e.g",
        "mine, sleeps",
        "Where",
        "here",
    ]
    assert text.sentences(" ... ! ") == []


@pytest.mark.parametrize(
    ("one", "other"), [("lives", "living"), ("story", "stories"), ("eats", "eat"), ("moved", "move")]
)
def test_stems_meet(one, other):
    assert text.stem(one) == text.stem(other)


def test_stems_keep_short_words_apart():
    assert len({text.stem(word) for word in ("is", "as", "red", "bed", "sing", "thing")}) == 6


def test_topic_words_have_no_function_words():
    assert text.topic_words("What does the zulo eat, and why?") == {"zulo", "eat"}


def test_length_is_a_trapezoid():
    assert [text.length(n, 4, 10, 20) for n in (0, 2, 4, 10, 15, 20, 99)] == [0.0, 0.5, 1.0, 1.0, 0.5, 0.0, 0.0]


def test_freshness_by_hand():
    assert text.freshness([]) == 1.0
    assert text.freshness(text.words("the zulo eats moss")) == 1.0
    # Four 3-grams, two of them different; no word twice in a row.
    assert text.freshness(text.words("a b a b a b")) == pytest.approx((2 / 4) ** 2)
    # Three 3-grams, all different; one of five words repeats the one before it.
    assert text.freshness(text.words("a b b c d")) == pytest.approx(1 - 2 / 5)
    assert text.freshness(["moss"] * 5) == 0.0
    assert text.freshness(["moss"] * 2) == 0.0


def test_novelty_by_hand():
    prompt = text.words("what does the zulo eat")
    assert text.novelty(prompt, prompt) == 0.0
    assert text.novelty(text.words("the zulo"), prompt) == 0.0
    assert text.novelty([], prompt) == 1.0
    assert text.novelty(text.words("the zulo eats moss"), prompt) == 1.0
    # 4-grams: "what does the zulo" is known, "does the zulo eats" and the two after it are new.
    assert text.novelty(text.words("what does the zulo eats moss now"), prompt) == 1.0
    # Two of three 4-grams known: 2 × 1/3.
    assert text.novelty(text.words("what does the zulo eat moss"), prompt) == pytest.approx(2 / 3)


@pytest.mark.parametrize("good", ["Yes.", "Yes!", "Really? ", 'He said "yes."', "(Yes.)", "Well…"])
def test_ends_cleanly(good):
    assert text.ends_cleanly(good)


@pytest.mark.parametrize("bad", ["", "Yes", "Yes,", "Yes. And", "1. a - "])
def test_does_not_end_cleanly(bad):
    assert not text.ends_cleanly(bad)


def test_phrases_are_whole_words():
    assert text.contains_phrase("Well, SHUT   up!", ["shut up"])
    assert not text.contains_phrase("shutter up", ["shut up"])
    assert not text.contains_phrase("surely", ["Sure!"])
