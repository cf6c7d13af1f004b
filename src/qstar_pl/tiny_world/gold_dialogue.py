"""The gold reward of an answer in a dialogue: one formula where the facts are known, a stated heuristic elsewhere."""

from __future__ import annotations

import re

from qstar_pl.tiny_world.text import (
    contains_phrase,
    ends_cleanly,
    freshness,
    length,
    novelty,
    sentences,
    topic_words,
    words,
)
from qstar_pl.tiny_world.world import ATTRIBUTES, COURTESIES, CREATURES, CUES, VALUES

RUDE = ("stupid", "fool", "idiot", "shut up", "go away", "boring", "moron", "dumb", "find it out yourself")
"""Words and phrases after which an answer counts as rude."""
EVASIVE = (
    "i do not know",
    "i don't know",
    "i have no idea",
    "i am not sure",
    "i'm not sure",
    "i cannot help",
    "i can't help",
    "it is hard to say",
    "who can say",
    "ask another person",
)
"""Phrases after which an answer to a foreign prompt counts as evasive."""
_NEGATION = re.compile(r"\b(?:not|never|no|\w+n['’]t)\b")


def _manners(text: str) -> float:
    if contains_phrase(text, RUDE):
        return 0.3
    return 1.0 if contains_phrase(text, COURTESIES) else 0.85


def _rightness(answer: str, subject: str, attribute: str, value: str) -> float:
    said = set(words(answer))
    named = said & set(CREATURES)
    candidates = said & set(VALUES[attribute])
    # Values of other attributes: off the point, even where they are true.
    besides = said & {item for other in ATTRIBUTES if other != attribute for item in VALUES[other]}
    share = (1.0 if value in candidates else 0.15) / max(1, len(candidates)) if candidates else 0.0
    share /= 1.0 + 0.25 * len(besides)
    stating = [part for part in map(words, sentences(answer)) if value in part]
    if stating and not any(CUES[attribute] & set(part) for part in stating):
        share *= 0.5
    if any(_NEGATION.search(part.lower()) for part in sentences(answer) if value in words(part)):
        share *= 0.2
    if named and subject not in named:
        share *= 0.3
    return 0.75 * share + 0.25 * (subject in named) / max(1, len(named))


def known_fact(question: str, answer: str, subject: str, attribute: str, value: str) -> float:
    """Return the gold reward in [0, 1] of an answer about one attribute of one creature of the tiny world.

    gold = right × manners × ending × length × freshness × novelty, where

    - right = 0.75 · fact + 0.25 · name. fact = 1 if the value is said, 0.15 if only other values of the attribute are,
      else 0; divided by the number of the attribute's values that are said (so listing them all earns 1/8), and by
      1 + 0.25 × the number of values of other attributes; ×0.5 where no sentence with the value has a word of stating
      (eats, lives, …); ×0.2 where that sentence is negated; ×0.3 if only other creatures are named. name = 1 / number
      of creatures named if the subject is among them, else 0.
    - manners = 1 with a courtesy, 0.85 without, 0.3 with a rude word or phrase.
    - ending = 1 if it ends as a finished sentence does, else 0.5.
    - length = min(1, words/3) up to 18 words, then falling to 0 at 36.
    - freshness = (share of distinct 3-grams)² × (1 − 2 × share of doubled words)₊.
    - novelty = min(1, 2 × share of 4-grams that are not the user's).
    """
    tokens = words(answer)
    form = length(len(tokens), 3, 18, 36) * freshness(tokens) * novelty(tokens, words(question))
    ending = 1.0 if ends_cleanly(answer) else 0.5
    return _rightness(answer, subject, attribute, value) * _manners(answer) * ending * form


def any_answer(question: str, answer: str) -> float:
    """Return a heuristic in [0, 1] of an answer to any prompt, from the two texts alone: it cannot know what is true.

    gold = topic × manners × ending × length × freshness × novelty, where

    - topic = 0.25 + 0.75 · min(1, shared / min(3, n)): `shared` of the n content words of the question recur in the
      answer (compared by stems); 1 if the question has none.
    - manners = 0.3 with a rude word or phrase, 0.6 with an evasive phrase, else 1.
    - ending = 1 if it ends as a finished sentence does, else 0.6.
    - length = min(1, words/8) up to 80 words, then falling to 0 at 400.
    - freshness and novelty as in `known_fact`.
    """
    tokens = words(answer)
    asked = topic_words(question)
    topic = 1.0 if not asked else 0.25 + 0.75 * min(1.0, len(asked & topic_words(answer)) / min(3, len(asked)))
    manners = 0.3 if contains_phrase(answer, RUDE) else 0.6 if contains_phrase(answer, EVASIVE) else 1.0
    ending = 1.0 if ends_cleanly(answer) else 0.6
    form = length(len(tokens), 8, 80, 400) * freshness(tokens) * novelty(tokens, words(question))
    return topic * manners * ending * form
