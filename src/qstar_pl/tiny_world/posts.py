"""Seeded posts with summaries, in the form of the TL;DR data: `prompt` ends in "TL;DR:", and two summaries follow.

A post says in three to five sentences who it is about, what the problem is and what the writer wishes; the rest is
beside the point. A good summary says all three in one short sentence.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

WHO: Mapping[str, str] = {
    "sister": "She",
    "brother": "He",
    "aunt": "She",
    "uncle": "He",
    "boss": "He",
    "teacher": "She",
    "friend": "He",
    "cousin": "She",
    "neighbour": "She",
    "coach": "He",
    "landlord": "He",
    "roommate": "She",
}
"""Whom a post is about, and the pronoun."""

PROBLEMS: tuple[str, ...] = (
    "keeps losing my keys",
    "never pays me back",
    "plays loud music at night",
    "always comes too late",
    "eats all my bread",
    "broke my old bike",
    "forgot my birthday again",
    "tells my secrets to others",
    "leaves the door open",
    "took my best coat",
    "burns every single dinner",
    "lets the dog on my bed",
)
WISHES: tuple[str, ...] = (
    "buy a new lock",
    "get one honest answer",
    "sleep in peace",
    "move to the coast",
    "stay good friends",
    "get my money back",
    "make a clear rule",
    "talk about it calmly",
    "find a quiet room",
    "change the whole plan",
    "write a short letter",
    "wait one more week",
)
_INTRODUCTIONS = (
    "I have known my {who} for many years.",
    "I share a small house with my {who}.",
    "This is a story about my {who}.",
    "I see my {who} almost every day.",
)
_TROUBLES = ("{pronoun} {problem}, and it makes me sad.", "{pronoun} {problem}, and I said so twice.")
_HOPES = ("I really want to {wish} now.", "What I want is to {wish} soon.", "Now I would like to {wish} at last.")
_ASIDES = (
    "It rained for the whole week.",
    "The bus was full this morning.",
    "My cat slept on the sofa.",
    "I had some soup for lunch.",
    "There was a market in town.",
    "The summer was long and hot.",
)
_SUMMARIES = (
    "My {who} {problem} and I want to {wish}.",
    "My {who} {problem}, so I want to {wish}.",
    "I want to {wish} because my {who} {problem}.",
)


@dataclass(frozen=True)
class Story:
    """What a post is about."""

    who: str
    problem: str
    wish: str

    def told(self, template: str) -> str:
        """Return the template with this story's parts filled in."""
        return template.format(who=self.who, problem=self.problem, wish=self.wish, pronoun=WHO[self.who])


def good_summary(rng: random.Random, story: Story) -> str:
    """Return one short sentence with all three parts."""
    return story.told(rng.choice(_SUMMARIES))


def _another(rng: random.Random, options: tuple[str, ...], but: str) -> str:
    return rng.choice([option for option in options if option != but])


def _wrong_part(rng: random.Random, story: Story, post: str) -> str:
    problem = _another(rng, PROBLEMS, story.problem)
    wish = _another(rng, WISHES, story.wish) if rng.random() < 0.5 else story.wish
    return good_summary(rng, Story(story.who, problem, wish))


def _missing_part(rng: random.Random, story: Story, post: str) -> str:
    return story.told(rng.choice(("My {who} {problem}.", "I want to {wish}.", "This is about my {who}.")))


def _beside_the_point(rng: random.Random, story: Story, post: str) -> str:
    return rng.choice(_ASIDES)


def _copied(rng: random.Random, story: Story, post: str) -> str:
    return post


def _rambling(rng: random.Random, story: Story, post: str) -> str:
    return " ".join([story.told("My {who} {problem}.")] * rng.randint(3, 5))


def _cut_off(rng: random.Random, story: Story, post: str) -> str:
    tokens = good_summary(rng, story).rstrip(".").split(" ")
    return " ".join(tokens[: rng.randint(2, len(tokens) - 1)]).rstrip(",")


FLAWS: Mapping[str, Callable[[random.Random, Story, str], str]] = {
    "wrong_part": _wrong_part,
    "missing_part": _missing_part,
    "beside_the_point": _beside_the_point,
    "copied": _copied,
    "rambling": _rambling,
    "cut_off": _cut_off,
}
"""How a summary can be bad: name → maker(rng, story, post)."""


def post(rng: random.Random) -> dict[str, Any]:
    """Return one row."""
    story = Story(rng.choice(sorted(WHO)), rng.choice(PROBLEMS), rng.choice(WISHES))
    parts = [story.told(rng.choice(options)) for options in (_INTRODUCTIONS, _TROUBLES, _HOPES)]
    asides = rng.sample(_ASIDES, rng.choice((0, 1, 2)))
    # Never at 1, between the introduction and the pronoun that refers to it; from the back, so that places stay.
    for place, aside in zip(sorted(rng.sample((0, 2, 3), len(asides)), reverse=True), asides, strict=True):
        parts.insert(place, aside)
    text = " ".join(parts)
    flaw = rng.choice(sorted(FLAWS))
    return {
        "prompt": f"POST: {text}\n\nTL;DR:",
        "chosen": good_summary(rng, story),
        "rejected": FLAWS[flaw](rng, story, text),
        "task": "summary",
        "who": story.who,
        "problem": story.problem,
        "wish": story.wish,
        "flaw": flaw,
    }
