"""The letter of a multiple choice, alone or beside what it stands for."""

from __future__ import annotations

import re

from qstar_pl.rewards.answers.cleaning import cleaned, without_marks

# "(B)", "B.", "option (b)".
_ALONE = re.compile(r"(?:option|choice|answer)?\s*(?:\(\s*([A-Ja-j])\s*\)|([A-J])\s*[.):]?)", re.IGNORECASE)
# "(B) 12", "B: 12".
_BEFORE = re.compile(r"^(?:\(\s*([A-J])\s*\)|([A-J])\s*[.):])\s*[:=]?\s*(?=\S)")
# "12 (B)"; behind a letter it would be an argument, as in f(B).
_BEHIND = re.compile(r"(?<=[\s\d}°%!])\s*(?:\(\s*([A-J])\s*\)|\\Longrightarrow\s*\(?([A-J])\)?)$")


def choice_of(text: str, beside: bool = False) -> str | None:
    """Return the letter that an answer consists of, or with `beside` also one beside a value; None: there is none."""
    plain = _plain(text)
    if alone := _ALONE.fullmatch(plain):
        letter = alone[1] or alone[2]
        # A small letter without brackets is a variable.
        return letter.upper() if alone[1] or letter.isupper() else None
    if beside and (found := _BEFORE.match(plain) or _BEHIND.search(plain)):
        return found[1] or found[2]
    return None


def without_choice(text: str) -> str:
    """Return an answer without the letter beside it; one that is only a letter stays."""
    plain = cleaned(text)
    bare = _plain(text)
    if _ALONE.fullmatch(bare) or not (_BEFORE.match(bare) or _BEHIND.search(bare)):
        return text
    # \text{(B) red}: the letter leaves the words' marks, behind which it would not stand at the beginning.
    marked = re.sub(r"[\ue000]\s*(\(\s*[A-J]\s*\))\s*([^\ue001]*)[\ue001]", r"\1 \2", plain).strip()
    left = _BEHIND.sub("", _BEFORE.sub("", marked)).strip()
    return left or text


def _plain(text: str) -> str:
    return " ".join(without_marks(cleaned(text)).split())
