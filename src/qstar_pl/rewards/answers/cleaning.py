"""From the many ways to typeset an answer to one."""

from __future__ import annotations

import re
import unicodedata

MAX_LENGTH = 1000
"""Characters; a longer text is no final answer."""
OPEN_TEXT, CLOSE_TEXT = "\ue000", "\ue001"
"""Marks around what was typeset as words inside a formula."""
NEW_ROW = "\ue002"
"""Mark between the rows of a matrix."""
_DOLLAR = "\ue003"
_REPLACED = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot ",
    "÷": r"\div ", "∕": "/", "⁄": "/", "π": r"\pi ", "√": r"\sqrt ", "∞": r"\infty ", "≤": r"\le ", "≥": r"\ge ",
    "≠": r"\ne ", "≈": r"\approx ", "±": r"\pm ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "°": r"^\circ ",
    "′": "'", "’": "'", "‘": "'", "“": '"', "”": '"', "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ",
}  # fmt: skip
_POWERS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻ⁿ", "0123456789-n")
_POWER = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻ⁿ]+")
_TEXT = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|mathrm|mathbf|mathit|mathsf|mbox|operatorname\*?)\s*\{([^{}]*)\}"
)
_FORMULAS = re.compile(r"\$\$(.*?)\$\$|\$(.*?)\$|\\\((.*?)\\\)|\\\[(.*?)\\\]", re.DOTALL)
_NOTHING = re.compile(
    r"\\(?:left|right|[bB]ig{1,2}[lrm]?|displaystyle|textstyle|limits|nolimits|rm|bf|it|hfill|phantom\{[^{}]*\})"
    r"(?![A-Za-z])"
)
_SPACE = re.compile(r"\\(?:[,;:! ]|quad|qquad|thinspace|enspace)|~")
# "1 000 000", as a whole answer only: elsewhere two numbers may stand side by side.
_SPACED_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?: \d{3})+")
# 1{,}000, 1\,000 and the like.
_THOUSANDS = re.compile(r"(?<=\d)(?:\{,\}|\\[,!;: ]|,\\!|\\!,\\!|\{\\,\})(?=\d{3}(?!\d))")
_SYNONYMS = {
    r"\dfrac": r"\frac", r"\tfrac": r"\frac", r"\cfrac": r"\frac", r"\tbinom": r"\binom", r"\dbinom": r"\binom",
    r"\leq": r"\le", r"\leqslant": r"\le", r"\geq": r"\ge", r"\geqslant": r"\ge", r"\lt": "<", r"\gt": ">",
    r"\neq": r"\ne", r"\times": r"\cdot", r"\ast": r"\cdot", r"\lbrace": r"\{", r"\rbrace": r"\}", r"\colon": ":",
    r"\lvert": "|", r"\rvert": "|", r"\vert": "|", r"\mid": "|", r"\degree": r"^\circ", r"\degrees": r"^\circ",
    r"\varnothing": r"\emptyset", r"\implies": r"\Longrightarrow", r"\Rightarrow": r"\Longrightarrow",
    r"\land": " and ",
}  # fmt: skip
_SYNONYM = re.compile(r"\\[A-Za-z]+")
_DEGREES = re.compile(r"\^\s*\{?\s*\\circ\s*\}?")


def cleaned(text: str) -> str:
    """Return an answer in one typesetting: plain signs, no layout, words in a formula between `OPEN_TEXT` marks."""
    text = _plain_signs(text.strip())
    # A double backslash ends a row only inside an environment.
    text = text.replace("\\\\", NEW_ROW) if "\\begin" in text else text
    # An escaped dollar is money; it must not open or close a formula.
    text = text.replace(r"\$", _DOLLAR).replace(r"\%", "%").replace(r"\#", "#").replace(r"\&", "&")
    # Markdown's bold, not the power 2**3.
    text = re.sub(r"\*\*(?=\S)(.*?)(?<=\S)\*\*(?!\w)", r"\1", text).replace(r"\textdollar", "$")
    # Braces that only change the spacing around a sign.
    text = re.sub(r"\{([-+=])\}", r"\1", text)
    text = _FORMULAS.sub(lambda found: "".join(filter(None, found.groups())), text).replace(_DOLLAR, "$")
    text = _THOUSANDS.sub("", text)
    text = text.replace(" ", "") if _SPACED_THOUSANDS.fullmatch(text) else text
    for _ in range(4):  # words inside words
        text, changes = _TEXT.subn(_marked, text)
        if not changes:
            break
    # Whole commands, so that \le does not touch \left.
    text = _SYNONYM.sub(lambda found: _SYNONYMS.get(found[0], found[0]), text)
    text = _NOTHING.sub("", text)
    text = _DEGREES.sub("°", _SPACE.sub(" ", text))
    return re.sub(r"\s+", " ", text).strip().rstrip(".,;").strip()


def _marked(found: re.Match[str]) -> str:
    """Return words between marks; a formula that was typeset as words gets none."""
    inner = found[1]
    return inner if re.search(r"[\d\\^]", inner) else f"{OPEN_TEXT}{inner}{CLOSE_TEXT}"


def _plain_signs(text: str) -> str:
    parts = []
    for sign in text:
        if sign in _REPLACED:
            parts.append(_REPLACED[sign])
        elif not sign.isascii() and unicodedata.category(sign) == "No" and "⁄" in unicodedata.normalize("NFKC", sign):
            parts.append(" " + unicodedata.normalize("NFKC", sign).replace("⁄", "/"))  # 2½ is 2 1/2
        else:
            parts.append(sign)
    # Before NFKC, which would make x² into x2.
    powers = _POWER.sub(lambda found: "^{" + found[0].translate(_POWERS) + "}", "".join(parts))
    return unicodedata.normalize("NFKC", powers)


def without_marks(text: str) -> str:
    """Return a cleaned text without the marks around words."""
    return text.replace(OPEN_TEXT, "").replace(CLOSE_TEXT, "")


_SIGN = re.compile(r"[^\w\s]")
_OF_A_NUMBER = re.compile(r"(?<=\d)[.:/,-](?=\d)|(?<![\w).])-(?=\.?\d)|(?<!\w)\.(?=\d)")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def words(text: str) -> str:
    """Return a text for exact match: lower case, no articles, no punctuation (SQuAD, Rajpurkar et al. 2016).

    Unlike there, signs that belong to a number stay (1.5, 3/4, -2), and commas between thousands go.
    """
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", without_marks(_plain_signs(text)).lower())
    kept = {found.start() for found in _OF_A_NUMBER.finditer(text)}
    text = _SIGN.sub(lambda found: found[0] if found.start() in kept else "", text)
    return " ".join(_ARTICLES.sub(" ", text).split())
