"""The unit of a quantity, separated from its number."""

from __future__ import annotations

import re

from qstar_pl.rewards.answers.cleaning import CLOSE_TEXT, OPEN_TEXT, without_marks

_NAMES = {
    "inch": "in inch inches", "foot": "ft foot feet", "yard": "yd yds yard yards", "mile": "mi mile miles",
    "mm": "mm millimeter millimeters millimetre millimetres", "cm": "cm centimeter centimeters centimetre centimetres",
    "m": "m meter meters metre metres", "km": "km kilometer kilometers kilometre kilometres",
    "mg": "mg milligram milligrams", "g": "g gram grams", "kg": "kg kgs kilogram kilograms",
    "pound": "lb lbs pound pounds",
    "ounce": "oz ounce ounces", "ml": "ml milliliter milliliters", "liter": "l liter liters litre litres",
    "second": "s sec secs second seconds", "minute": "min mins minute minutes", "hour": "h hr hrs hour hours",
    "day": "day days", "year": "yr yrs year years", "mph": "mph", "km/hour": "kph kmh",
    "dollar": "$ usd dollar dollars buck bucks", "cent": "¢ cent cents", "euro": "€ eur euro euros", "gbp": "£ gbp",
    "yen": "¥ yen", "%": "% percent pct", "°": "° degree degrees deg", "radian": "rad radian radians",
    "unit": "unit units", "am": "am a.m", "pm": "pm p.m", "cup": "cup cups", "gallon": "gal gallon gallons",
}  # fmt: skip
_NAME = {word: name for name, words in _NAMES.items() for word in words.split()}
# Longer names are found as words; single letters are variables unless they were typeset as words.
_SHORT = sorted((word for word in _NAME if 2 <= len(word) <= 3 and word.isalpha()), key=len, reverse=True)
# Words that are part of a number: a tail with one of them is no unit.
_NO_UNITS = (
    "half halves third thirds quarter quarters fourth fourths fifth fifths tenth tenths hundredth hundredths root "
    "squared cubed times plus minus over factorial infinity hundred thousand million billion trillion dozen more less "
    "than"
)
_PART = (
    rf"(?:{OPEN_TEXT}[^{CLOSE_TEXT}]*{CLOSE_TEXT}|"
    rf"(?<![\\A-Za-z])(?:{'|'.join(_SHORT)}|per|sq|[A-Za-z]{{4,}})(?![A-Za-z(])"
    r"\.?|\^\{?[23]\}?(?!\d)|/|-(?=[A-Za-z]))"
)
_TAIL = re.compile(rf"^(?P<number>.*?[\w)}}\]!])\s*(?P<unit>{_PART}(?:\s*{_PART})*)$", re.DOTALL)
_CURRENCY = re.compile(r"^(?P<sign>-?)\s*(?:US)?(?P<unit>[$€£¥])\s*(?P<number>.+)$", re.DOTALL)
# 11th, 11^{th}, 11\text{th}.
_ORDINAL = re.compile(rf"(?<=\d)(?:\^\{{?\s*)?{OPEN_TEXT}?(?:st|nd|rd|th){CLOSE_TEXT}?\}}?$")
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_SCALE = re.compile(rf"(?<=[\d)}}])\s*{OPEN_TEXT}?\s*({'|'.join(_SCALES)})s?\s*(?={CLOSE_TEXT}|\b)")
_NUMBER_BEFORE = re.compile(r"^[-+]?[\d.,/\s]+$")


def without_unit(text: str) -> tuple[str, str | None]:
    """Return a quantity's number and the one name of its unit (None: it has none); the text must be `cleaned`.

    5 million is 5 · 10^6, the 11th is 11. Letters alone are variables, unless they were typeset as words.
    """
    text = _ORDINAL.sub("", text)
    text = _SCALE.sub(lambda found: rf"\cdot 10^{{{_SCALES[found[1]]}}} " + OPEN_TEXT * (OPEN_TEXT in found[0]), text)
    text = text.replace(OPEN_TEXT + CLOSE_TEXT, "").strip()
    # The currency stands first, so a minus before it is put back: -$5 is −5 dollars.
    if money := _CURRENCY.match(text):
        number, other = _tail(money["sign"] + money["number"])
        return number, _one_name(money["unit"]) if other is None else other
    return _tail(text)


def _tail(text: str) -> tuple[str, str | None]:
    found = _TAIL.match(text)
    if found is None or not re.search(r"\d|\\|^[^\W\d_]$|[a-z)]", found["number"]):
        return text, None
    number, unit = found["number"], found["unit"]
    # The exponent of a number is no part of a unit, nor is a division without one.
    if not re.match(rf"{OPEN_TEXT}|[A-Za-z]", unit):
        lead = re.match(rf"[^{OPEN_TEXT}A-Za-z]+", unit)
        if lead is None or lead.end() == len(unit) or unit[: lead.end()].strip() != "-":
            return text, None
        unit = unit[lead.end() :]
    if set(without_marks(unit).lower().split()) & set(_NO_UNITS.split()):
        return text, None
    return number, _one_name(unit)


def _one_name(unit: str) -> str | None:
    """Return the unit with one name for each of its words, and squares and cubes as exponents."""
    text = without_marks(unit).lower().replace("-", " ")
    text = re.sub(r"\b(?:square|sq)\b\.?\s*(\S+)", r"\1^2", text)
    text = re.sub(r"\bcubic\s+(\S+)", r"\1^3", text)
    text = re.sub(r"\s*(?:/|\bper\b)\s*", "/", re.sub(r"\s*\^\s*\{?(\d)\}?", r"^\1", text))
    # With the separators, so that the unit can be put together again: "apple/day", "cm^2".
    parts = re.split(r"([\s/^]+)", text.strip())
    named = [_NAME.get(part.strip("."), part.strip(".").removesuffix("s") or part) for part in parts]
    return " ".join("".join(named).split()) or None
