"""The gold reward of a summary: one formula where the story is known, a stated heuristic elsewhere."""

from __future__ import annotations

from collections import Counter

from qstar_pl.tiny_world.posts import WHO
from qstar_pl.tiny_world.text import (
    STOPWORDS,
    ends_cleanly,
    freshness,
    length,
    ngrams,
    sentences,
    stem,
    topic_words,
    words,
)


def _coverage(phrase: str, answer: str) -> float:
    """Return half the share of the phrase's content words in the answer plus half that of its word pairs."""
    topic = topic_words(phrase)
    pairs = set(ngrams(words(phrase), 2))
    said = set(ngrams(words(answer), 2))
    return 0.5 * len(topic & topic_words(answer)) / len(topic) + 0.5 * len(pairs & said) / len(pairs)


def _faithfulness(post: str, answer: str) -> float:
    topic = topic_words(answer)
    return len(topic & topic_words(post)) / len(topic) if topic else 0.0


def _form(post: str, answer: str, low: int, high: int, end: int) -> float:
    tokens = words(answer)
    compression = max(0.0, min(1.0, 4.0 * (1.0 - len(tokens) / max(1, len(words(post))))))
    ending = 1.0 if ends_cleanly(answer) else 0.5
    return length(len(tokens), low, high, end) * freshness(tokens) * compression * ending


def known_story(post: str, answer: str, who: str, problem: str, wish: str) -> float:
    """Return the gold reward in [0, 1] of a summary of a tiny-world post.

    gold = coverage × faithfulness × sentences × length × compression × freshness × ending, where

    - coverage = 0.2 · who + 0.4 · problem + 0.4 · wish. who = 1 / number of persons named if the right one is among
      them, else 0; a phrase counts half by its content words (stems), half by its word pairs, so that a pile of key
      words earns half.
    - faithfulness = share of the summary's content words that the post holds.
    - sentences = 1, 0.7, 0.4, 0.1 for one, two, three, more.
    - length = min(1, words/4) up to 18 words, then falling to 0 at 36.
    - compression = 1 up to three quarters of the post's words, falling to 0 at all of them.
    - freshness as for dialogues; ending = 1 if it ends as a finished sentence does, else 0.5.
    """
    named = set(words(answer)) & set(WHO)
    person = (who in named) / max(1, len(named))
    coverage = 0.2 * person + 0.4 * _coverage(problem, answer) + 0.4 * _coverage(wish, answer)
    brevity = min(1.0, max(0.1, 1.3 - 0.3 * len(sentences(answer))))
    return coverage * _faithfulness(post, answer) * brevity * _form(post, answer, 4, 18, 36)


def any_summary(post: str, answer: str) -> float:
    """Return a heuristic in [0, 1] of a summary of any post, from the two texts alone: it cannot know what matters.

    gold = coverage × faithfulness × length × compression × freshness × ending, where coverage = min(1, hits/4): how
    many of the post's 12 most frequent content words (ties: the earlier) the summary holds; length = min(1, words/8) up
    to 48 words, then falling to 0 at 96; the rest as in `known_story`.
    """
    counts = Counter(stem(word) for word in words(post) if word not in STOPWORDS and len(word) > 1)
    central = {word for word, _ in counts.most_common(12)}
    coverage = min(1.0, len(central & topic_words(answer)) / 4)
    return coverage * _faithfulness(post, answer) * _form(post, answer, 8, 48, 96)
