"""Where the final answer stands in a text."""

from __future__ import annotations

import re

from qstar_pl.rewards.answers.choices import choice_of

_BOX = re.compile(r"\\(?:boxed|fbox)\s*")
# GSM8K's "#### 42".
_HASHES = re.compile(r"^[ \t]*####[ \t]*(?P<answer>\S[^\n]*)$", re.MULTILINE)
# What "####" makes a heading of Markdown and no answer: "#### Step 1".
_HEADING = re.compile(
    r"[*\s\d.:]*(?:step|conclusion|solution|final|answer|explanation|case|part|note|summary|verif)", re.I
)
_TAGS = re.compile(r"<answer>(.*?)</answer>", re.IGNORECASE | re.DOTALL)
_PHRASE = re.compile(r"\banswer(?:\s+to\s+[^.\n]{0,80}?)?\s*(?:is|are|:|\*\*:|:\*\*)\s*(?:therefore|thus|:)?\s*", re.I)
_FORMULA = re.compile(
    r"\$\$(?P<two>.+?)\$\$|\$(?P<one>[^$\n]+?)\$|\\\((?P<round>.+?)\\\)|\\\[(?P<square>.+?)\\\]", re.DOTALL
)
# With its sign, currency, thousands, fraction and percent; the minus of 5-3 is no sign.
_NUMBER = re.compile(
    r"(?:(?<![\w.)])-)?[$€£]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:\s*/\s*\d+(?!\w))?\s?%?|(?<![\w.])-?\.\d+"
)
# Neither the point of 3.14 nor those of a.m. end a sentence.
_SENTENCE_END = re.compile(r"(?<!\b[a-z])\.(?=\s|$)(?!\d)|[\n]|(?<=[\w)}$])[!?](?=\s|$)")
_LONGEST = 20_000
"""Characters from the end that are looked at."""
_SHORT = 200
"""Characters of a text that may be an answer as a whole."""


def find_answers(text: str, *, unmarked: bool = True) -> list[str]:
    """Return the final answer in a text, in the one or two ways it may be read; empty if there is none.

    It is what stands in the last \\boxed{}, or else in the last <answer> tag, or else behind the first "####" that
    begins a line, or else behind the last "answer is" or "answer:", up to the sentence's or the line's end. A box that
    holds a choice's letter alone may mean the value in the box before it. With `unmarked` it is otherwise the whole
    text, if it is short, or the last formula or number.
    """
    text = text[-_LONGEST:]
    if boxes := _boxes(text):
        return [boxes[-1], *(boxes[-2:-1] if choice_of(boxes[-1]) is not None else [])]
    if tagged := _TAGS.findall(text):
        return [tagged[-1].strip()]
    for line in _HASHES.finditer(text):
        if not _HEADING.match(line["answer"]):
            return [line["answer"].strip()]
    if phrases := list(_PHRASE.finditer(text)):
        said = text[phrases[-1].end() :].lstrip(" *:\n")
        sentence = _sentence(said)
        # Where the sentence ends may be misjudged, so the rest of the line counts too, unless a number is all it says.
        rest = "" if _NUMBER.fullmatch(sentence) else said.partition("\n")[0].strip(" *")
        if found := [one for one in (sentence, rest) if one]:
            return list(dict.fromkeys(found))
    return _unmarked(text) if unmarked else []


def _boxes(text: str) -> list[str]:
    """Return the contents of complete boxes, in their order; of nested ones, the outermost."""
    found, place, closing = [], 0, _closing_braces(text)
    while (box := _BOX.search(text, place)) is not None:
        place = box.end()
        if text[place : place + 1] != "{":
            # \boxed 5 and \boxed\pi, which TeX allows without braces.
            if word := re.match(r"\\?[A-Za-z]+|[-+]?[\d.,]*\d|\S", text[place:]):
                found.append(word[0])
        elif (end := closing.get(place)) is not None:
            found.append(text[place + 1 : end])
            place = end + 1
    return found


def _closing_braces(text: str) -> dict[int, int]:
    """Return the place of each opening brace → that of its closing one."""
    pairs, open_ones = {}, list[int]()
    # An escaped brace is skipped with its backslash.
    for brace in re.finditer(r"\\.|[{}]", text, re.DOTALL):
        if brace[0] == "{":
            open_ones.append(brace.start())
        elif brace[0] == "}" and open_ones:
            pairs[open_ones.pop()] = brace.start()
    return pairs


def _sentence(text: str) -> str:
    """Return the first sentence, or the formula that begins it."""
    if (formula := _FORMULA.match(text)) is not None:
        rest = text[formula.end() :].lstrip()
        # Otherwise the answer goes on behind the formula, as in "$x$ - 3" or "$5$ dollars".
        if not rest or not (rest[0].isalnum() or rest[0] in "\\-+=<>/"):
            return _inside(formula)
    end = _SENTENCE_END.search(text)
    return (text[: end.start()] if end else text).strip(" *")


def _unmarked(text: str) -> list[str]:
    found = [text.strip()] if 0 < len(text.strip()) <= _SHORT else []
    formulas = list(_FORMULA.finditer(text))
    # Whichever comes last; numbers inside a formula are part of it.
    numbers = [one for one in _NUMBER.finditer(text) if not formulas or one.start() >= formulas[-1].end()]
    if numbers:
        found.append(numbers[-1][0].strip())
    elif formulas:
        found.append(_inside(formulas[-1]))
    return list(dict.fromkeys(found))


def _inside(formula: re.Match[str]) -> str:
    return next(text for text in formula.groups() if text)
