"""The invented world that the dialogues are about: a closed table of creatures and what is true of each."""

from __future__ import annotations

from collections.abc import Mapping

ATTRIBUTES: tuple[str, ...] = ("food", "colour", "home", "sound")

# One row per creature, in the order of ATTRIBUTES. Each value belongs to three creatures, so that no value is a safe
# guess; no two creatures agree in more than one attribute; no word has two meanings.
_ROWS = """
    blim   moss    red    cave   buzz
    corvu  honey   blue   nest   hum
    dask   seeds   green  pond   click
    elmo   berries gold   barn   hoot
    fenn   fish    grey   tree   chirp
    gori   nuts    white  tower  purr
    hask   roots   black  den    growl
    ibbo   corn    pink   box    squeak
    jolu   moss    blue   pond   hoot
    kem    honey   green  barn   chirp
    lurr   seeds   gold   tree   purr
    mirp   berries grey   tower  growl
    nool   fish    white  den    squeak
    opla   nuts    black  box    buzz
    pazi   roots   pink   cave   hum
    quen   corn    red    nest   click
    rubo   moss    green  tower  squeak
    sivi   honey   gold   den    buzz
    tolk   seeds   grey   box    hum
    umba   berries white  cave   click
    vexi   fish    black  nest   hoot
    wopp   nuts    pink   pond   chirp
    yarl   roots   red    barn   purr
    zulo   corn    blue   tree   growl
"""

CREATURES: Mapping[str, Mapping[str, str]] = {
    name: dict(zip(ATTRIBUTES, values, strict=True)) for name, *values in map(str.split, _ROWS.split("\n")[1:-1])
}
"""What is true of each creature: name → attribute → value."""

VALUES: Mapping[str, tuple[str, ...]] = {
    attribute: tuple(sorted({facts[attribute] for facts in CREATURES.values()})) for attribute in ATTRIBUTES
}
"""What can be true at all: attribute → its eight values."""

CUES: Mapping[str, frozenset[str]] = {
    "food": frozenset({"eat", "eats", "feed", "food"}),
    "colour": frozenset({"is", "has", "colour"}),
    "home": frozenset({"live", "lives", "find", "home"}),
    "sound": frozenset({"go", "goes", "hear", "sound"}),
}
"""Words of which a statement about an attribute holds at least one."""

COURTESIES: tuple[str, ...] = (
    "Sure!",
    "Of course!",
    "Good question!",
    "Happy to help!",
    "I hope that helps!",
    "Let me know if you want more!",
    "Have a nice day!",
)
"""Polite phrases; the first four open an answer, the others close one."""
