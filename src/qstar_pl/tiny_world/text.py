"""Properties of a text that every gold reward is made of: each is a number in [0, 1], 1 is good.

They read words only, never the tokenizer, so that a gold reward means the same for every model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

_WORD = re.compile(r"\w+(?:['’]\w+)*")
_ENDS = re.compile(r"""[.!?…][)\]"'”’*]*$""")
_SENTENCE_END = re.compile(r"[.!?…]+(?=\s|$)")
_SUFFIXES = ("ings", "ing", "ies", "ed", "es", "s")

# Function words and the common verbs of questions: they say nothing about the topic.
_STOPWORDS = """
    a about after all also am an and any are as at be because been before being both but by can could did do
    does doing don't for from get go had has have having he her here him his how i if in into is it it's its
    just know let like make me more most my no not now of off on one or other our out over please she should so
    some such tell than that the their them then there these they this those through to too up us use used very
    want was we well were what when where which while who why will with would you your
"""
STOPWORDS = frozenset(_STOPWORDS.split())


def words(text: str) -> list[str]:
    """Return the lower-case words of a text, in order, without punctuation."""
    return _WORD.findall(text.lower())


def sentences(text: str) -> list[str]:
    """Return the sentences of a text; what follows the last full stop counts as one."""
    return [part.strip() for part in _SENTENCE_END.split(text) if words(part)]


def stem(word: str) -> str:
    """Return a word without a common English ending, so that "lives" and "living" meet; crude, but symmetric."""
    for suffix in _SUFFIXES:  # "lives" and "living" become "liv", as does "live" below
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word[: -len(suffix)]
            break
    return word[:-1] if len(word) > 3 and word[-1] in "ey" else word


def topic_words(text: str) -> set[str]:
    """Return the stems of the words that carry the topic: neither function words nor single letters."""
    return {stem(word) for word in words(text) if word not in STOPWORDS and len(word) > 1}


def ngrams(tokens: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """Return the runs of `n` words; a shorter text is one run, an empty text none."""
    if len(tokens) < n:
        return [tuple(tokens)] if tokens else []
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


def length(count: int, low: int, high: int, end: int) -> float:
    """Return a trapezoid of a word count: count/low below `low`, 1 up to `high`, falling to 0 at `end`."""
    if count <= high:
        return min(1.0, count / low)
    return max(0.0, (end - count) / (end - high))


def freshness(tokens: Sequence[str]) -> float:
    """Return how little a text repeats itself: (share of distinct 3-grams)² × (1 − 2 × share of doubled words)₊.

    An empty text repeats nothing: 1 (its length counts against it elsewhere).
    """
    runs = ngrams(tokens, 3)
    if not runs:
        return 1.0
    doubled = sum(a == b for a, b in pairwise(tokens)) / len(tokens)
    return float((len(set(runs)) / len(runs)) ** 2 * max(0.0, 1.0 - 2.0 * doubled))


def novelty(answer: Sequence[str], prompt: Sequence[str]) -> float:
    """Return 1 unless the answer is mostly copied: min(1, 2 × share of its 4-grams that the prompt does not hold).

    An answer of fewer than four words counts as copied when the prompt holds it as a run.
    """
    size = min(4, len(answer))
    if size == 0:
        return 1.0
    known = set(ngrams(prompt, size))
    runs = ngrams(answer, size)
    return min(1.0, 2.0 * sum(run not in known for run in runs) / len(runs))


def ends_cleanly(text: str) -> bool:
    """Tell whether a text ends with the punctuation of a finished sentence, perhaps inside quotes or brackets."""
    return bool(_ENDS.search(text.rstrip()))


def contains_phrase(text: str, phrases: Sequence[str]) -> bool:
    """Tell whether one of the phrases occurs in a text as a run of whole words, whatever the case and punctuation."""
    padded = f" {' '.join(words(text))} "
    return any(f" {' '.join(words(phrase))} " in padded for phrase in phrases)
