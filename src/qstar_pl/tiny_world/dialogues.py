"""Seeded dialogues about the creatures of the world, in the native form of HH-RLHF.

A row's `chosen` and `rejected` are whole dialogues ("\\n\\nHuman: …\\n\\nAssistant: …") that differ in the last answer
only. Its other columns say what the gold reward needs (subject, attribute, value) and how the rejected answer is bad.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from qstar_pl.tiny_world.world import ATTRIBUTES, COURTESIES, CREATURES, VALUES

_OPENERS = ("", "", "Hi! ", "Hello! ", "Please tell me, ", "I wonder, ", "Quick question: ", "My friend asks: ")
_CLOSERS = ("", "", " Thanks!", " Please be brief.", " I want to know.")
_BETWEEN = ("And ", "Now, ", "Thanks! And ", "Next, ")
_QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "food": ("what does {it} eat?", "what food does {it} like?", "what should I feed {it}?"),
    "colour": ("what colour is {it}?", "which colour does {it} have?", "what is the colour of {it}?"),
    "home": ("where does {it} live?", "where can I find {it}?", "what is the home of {it}?"),
    "sound": ("what sound does {it} make?", "how does {it} sound?", "which sound can I hear from {it}?"),
}
_ANSWERS: Mapping[str, tuple[str, ...]] = {
    "food": ("The {s} eats {v}.", "The {s} likes to eat {v}.", "You can feed {v} to the {s}."),
    "colour": ("The {s} is {v}.", "The {s} has a {v} colour.", "The colour of the {s} is {v}."),
    "home": ("The {s} lives in a {v}.", "You can find the {s} in a {v}.", "The home of the {s} is a {v}."),
    "sound": ("The {s} goes {v}.", "The sound of the {s} is {v}.", "You can hear the {s} go {v}."),
}
_RUDE = (
    "Go away, I do not care about the {s}.",
    "That is a stupid question.",
    "Find it out yourself, you fool.",
    "What a boring thing to ask, shut up.",
)
_EVASIVE = (
    "I do not know.",
    "It is hard to say much about the {s}.",
    "Maybe you should ask another person.",
    "Who can say? I have no idea.",
)

Question = tuple[str, str, str]
"""(what the user says, subject, attribute)."""


def statement(rng: random.Random, subject: str, attribute: str, value: str) -> str:
    """Return one sentence that says that the subject's attribute has this value."""
    return rng.choice(_ANSWERS[attribute]).format(s=subject, v=value)


def polite(rng: random.Random, sentence: str) -> str:
    """Return a sentence with a courtesy before it, after it, or (one time in five) both."""
    kind = rng.choices(("before", "after", "both"), (2, 2, 1))[0]
    before = rng.choice(COURTESIES[:4]) + " " if kind != "after" else ""
    after = " " + rng.choice(COURTESIES[4:]) if kind != "before" else ""
    return before + sentence + after


def good_answer(rng: random.Random, subject: str, attribute: str) -> str:
    """Return a right answer that names its subject and is polite, complete and short."""
    return polite(rng, statement(rng, subject, attribute, CREATURES[subject][attribute]))


def _wrong_fact(rng: random.Random, subject: str, attribute: str) -> str:
    wrong = [value for value in VALUES[attribute] if value != CREATURES[subject][attribute]]
    return polite(rng, statement(rng, subject, attribute, rng.choice(wrong)))


def _off_topic(rng: random.Random, subject: str, attribute: str) -> str:
    other = rng.choice([item for item in ATTRIBUTES if item != attribute])
    whom = rng.choice(sorted(CREATURES)) if rng.random() < 0.5 else subject
    return polite(rng, statement(rng, whom, other, CREATURES[whom][other]))


def _rude(rng: random.Random, subject: str, attribute: str) -> str:
    return rng.choice(_RUDE).format(s=subject)


def _evasive(rng: random.Random, subject: str, attribute: str) -> str:
    return rng.choice(_EVASIVE).format(s=subject)


def _rambling(rng: random.Random, subject: str, attribute: str) -> str:
    sentence = statement(rng, subject, attribute, CREATURES[subject][attribute])
    return " ".join([sentence] * rng.randint(3, 5))


def _cut_off(rng: random.Random, subject: str, attribute: str) -> str:
    tokens = good_answer(rng, subject, attribute).rstrip(".!").split(" ")
    # At least two words stay, so that something is left, and at least the last one goes, so that something is cut.
    return " ".join(tokens[: rng.randint(2, len(tokens) - 1)]).rstrip(".!?,")


FLAWS: Mapping[str, Callable[[random.Random, str, str], str]] = {
    "wrong_fact": _wrong_fact,
    "off_topic": _off_topic,
    "rude": _rude,
    "evasive": _evasive,
    "rambling": _rambling,
    "cut_off": _cut_off,
}
"""How an answer can be bad: name → maker(rng, subject, attribute)."""


def _ask(rng: random.Random, subject: str, attribute: str, *, first: bool, pronoun: bool) -> str:
    question = rng.choice(_QUESTIONS[attribute]).format(it="it" if pronoun else f"the {subject}")
    opener = rng.choice(_OPENERS if first else _BETWEEN)
    text = opener + question + rng.choice(_CLOSERS)
    return text[0].upper() + text[1:]


def _questions(rng: random.Random, turns: int) -> list[Question]:
    """Return what the user asks in each turn; a later turn may say "it" and means the creature of the turn before."""
    attributes = rng.sample(ATTRIBUTES, turns)
    subject = rng.choice(sorted(CREATURES))
    asked = [(_ask(rng, subject, attributes[0], first=True, pronoun=False), subject, attributes[0])]
    for attribute in attributes[1:]:
        pronoun = rng.random() < 0.5
        if not pronoun:
            subject = rng.choice(sorted(CREATURES))
        asked.append((_ask(rng, subject, attribute, first=False, pronoun=pronoun), subject, attribute))
    return asked


def dialogue(rng: random.Random) -> dict[str, Any]:
    """Return one row: 1 to 3 turns (60%, 25%, 15%), good answers in all turns but the rejected last one."""
    asked = _questions(rng, rng.choices((1, 2, 3), (60, 25, 15))[0])
    prompt = ""
    for text, subject, attribute in asked[:-1]:
        prompt += f"\n\nHuman: {text}\n\nAssistant: {good_answer(rng, subject, attribute)}"
    text, subject, attribute = asked[-1]
    prompt += f"\n\nHuman: {text}\n\nAssistant:"
    flaw = rng.choice(sorted(FLAWS))
    return {
        "chosen": f"{prompt} {good_answer(rng, subject, attribute)}",
        "rejected": f"{prompt} {FLAWS[flaw](rng, subject, attribute)}",
        "prompt": prompt,
        "task": "dialogue",
        "subject": subject,
        "attribute": attribute,
        "value": CREATURES[subject][attribute],
        "flaw": flaw,
    }
