"""Symbols in words, where a terminal cannot show them: α as alpha, π_θ as pi_theta; and counts and p-values."""

from __future__ import annotations

import codecs
import io
import os
import re
import sys
import unicodedata

ERRORS = "qstar_pl.spelled"
"""Name of the codec error handler that spells out; registered when this module is imported."""
_WORDS = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "θ": "theta", "κ": "kappa", "λ": "lambda",
    "π": "pi", "ρ": "rho", "σ": "sigma", "ℓ": "l", "Λ": "Lambda", "Π": "prod", "Σ": "sum", "∏": "prod", "∇": "grad",
    "∂": "d", "µ": "u", "√": "sqrt", "∛": "cbrt", "‖": "||", "−": "-", "‐": "-", "‑": "-", "–": "-", "—": "-",
    "×": "x", "·": "*", "⋅": "*", "•": "*", "÷": "/", "±": "+-", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~",
    "∝": "~", "→": "->", "←": "<-", "∞": "inf", "∈": "in", "∪": "or", "∩": "and", "…": "...", "⋯": "...",
    "⌈": "ceil(", "⌉": ")", "°": " deg", "½": "1/2", "²": "^2", "³": "^3", "⁻": "-", "₊": "+", "₋": "-",
    "‘": "'", "’": "'", "′": "'", "“": '"', "”": '"', "€": "EUR", "£": "GBP", "¥": "YEN", "§": "section ",
}  # fmt: skip
_HORIZONTAL, _VERTICAL = "─━╌╍┄┅┈┉═╴╶╸╺", "│┃╎╏┆┇┊┋║╵╷╹╻"
# Those that ISO 8859 adds too: on some terminals \x9b alone begins an escape sequence.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def without_controls(text: str) -> str:
    """Return a text with control characters other than newline and tab as escapes such as \\x1b.

    What strangers wrote (rows, names of columns, answers) could else clear a terminal, retitle it, or hide a line.
    """
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def spelled(text: str, encoding: str) -> str:
    """Return a text with what an encoding lacks in words, or as an escape such as \\u4e2d where there is no word."""
    return text.encode(encoding, ERRORS).decode(encoding)


def make_printable() -> None:
    """Let standard output and error spell out what they cannot show, instead of raising or printing escapes.

    Whoever asks for the locale C by name gets ASCII, although Python itself would write UTF-8 there. Error handlers
    that PYTHONIOENCODING asks for stay.
    """
    for stream in (sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper):
            continue
        if _asks_for_ascii():
            stream.reconfigure(encoding="ascii", errors=ERRORS)
        elif stream.errors in ("strict", "backslashreplace"):  # Python's own choices
            stream.reconfigure(errors=ERRORS)


def _asks_for_ascii() -> bool:
    if os.environ.get("PYTHONIOENCODING") or os.environ.get("PYTHONUTF8"):
        return False
    named = next((os.environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if os.environ.get(name)), "")
    return named in ("C", "POSIX")


def _handle(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_spelled_one(sign) for sign in error.object[error.start : error.end]), error.end


def _spelled_one(sign: str) -> str:
    if sign in _WORDS:
        return _WORDS[sign]
    if "\u2500" <= sign <= "\u257f":  # lines that frame tables
        return "-" if sign in _HORIZONTAL else "|" if sign in _VERTICAL else "+"
    # é is e and a mark; a mark alone, which stands above the letter before it, is left out.
    plain = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode("ascii")
    return plain if plain or unicodedata.combining(sign) else sign.encode("ascii", "backslashreplace").decode("ascii")


codecs.register_error(ERRORS, _handle)


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return e.g. "1 prompt", "2 prompts".

    Args:
        number: how many.
        noun: of one.
        plural: of any other number; None: `noun` and an s.

    """
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def probability(value: float) -> str:
    """Return a p-value with four digits; of one that would show as zero, what it is below."""
    return f"{value:.4f}" if value >= 0.0001 else "< 0.0001"
