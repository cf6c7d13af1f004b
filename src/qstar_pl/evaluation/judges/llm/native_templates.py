"""The judges' prompts of AlpacaEval and MT-bench, in the files that those projects have them in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from qstar_pl.errors import UserError
from qstar_pl.evaluation.judges.llm.template import PLACE, PLACEHOLDERS, Template
from qstar_pl.evaluation.judges.llm.verdict_forms import Marks, Ranking, Score
from qstar_pl.types import Turn

_CHAT_ML = re.compile(r"<\|im_start\|>(system|user|assistant)\n(.*?)<\|im_end\|>", re.S)
_ALPACA_EVAL = {"instruction": "prompt", "output_1": "answer_1", "output_2": "answer_2"}
_MT_BENCH = {
    "question": "prompt",
    "answer_a": "answer_1",
    "answer_b": "answer_2",
    "answer": "answer",
    "ref_answer_1": "reference",
}
_MT_BENCH_DIALOGUES = {
    "question_1": "first_prompt",
    "question_2": "last_prompt",
    "answer_1": "first_answer",
    "answer_a_1": "first_answer",
    "answer_b_1": "first_answer",
    "answer_2": "answer",
    "answer_a_2": "answer_1",
    "answer_b_2": "answer_2",
}
"""Both answers continue the same dialogue here, so the first answer is the same for both."""


def alpaca_eval_template(text: str, path: Path, name: str) -> Template:
    """Return a template of AlpacaEval (a *.txt with ChatML's marks) whose verdict is read by its `ranking_parser`.

    Raises:
        UserError: if it is not one.

    """
    messages = tuple(Turn(role, _renamed(content.strip(), _ALPACA_EVAL)) for role, content in _CHAT_ML.findall(text))
    if not messages:
        raise UserError(f"{path}:1: AlpacaEval's templates must hold <|im_start|>user … <|im_end|>, got neither")
    template = Template(name, messages, Ranking())
    for original, place in _ALPACA_EVAL.items():
        if place not in template.names:
            raise UserError(f"{path}:1: AlpacaEval's templates must hold {{{original}}}")
    if "'rank'" not in text or "model_1" not in text or "model_2" not in text:
        raise UserError(f"{path}:1: AlpacaEval's template must ask for ranks of model_1 and model_2, got another form")
    return template


def mt_bench_template(text: str, path: Path, part: str, name: str) -> Template:
    """Return a template of MT-bench's `judge_prompts.jsonl`, e.g. pair-v2 or single-v1.

    Of those for two questions, both answers continue the same dialogue, and none may show references.

    Raises:
        UserError: if there is none of that name, or it is not in that form.

    """
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            found[str(row["name"])] = number, str(row["type"]), str(row["system_prompt"]), str(row["prompt_template"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UserError(
                f"{path}:{number}: a line must be a JSON object with name, type, system_prompt and prompt_template"
            ) from error
    if part not in found:
        raise UserError(f"template must be {path}#NAME, NAME one of {', '.join(found)}, got {name}")
    number, kind, system, user = found[part]
    several = "{question_1}" in user
    if several and "{ref_answer_1}" in user:
        raise UserError(f"template must show no reference to a first question, which data do not have, got {name}")
    user = _renamed(user, _MT_BENCH_DIALOGUES if several else _MT_BENCH)
    turns = tuple(Turn(role, content) for role, content in (("system", system.strip()), ("user", user)) if content)
    template = Template(name, turns, Score("[[", "]]", alone=False) if kind == "single" else _MARKS)
    needed = {"answer"} if kind == "single" else {"answer_1", "answer_2"}
    if kind not in ("single", "pairwise") or not needed <= template.names:
        raise UserError(f"{path}:{number}: {part} must be of type single or pairwise and show the answers, got {kind}")
    return template


_MARKS = Marks("[[A]]", "[[B]]", "[[C]]", alone=False)


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """Return a text with this package's placeholders; another word in braces that is one of them stays text."""

    def place(match: re.Match[str]) -> str:
        if match[2] in names:
            return f"{{{names[match[2]]}}}"
        return f"{{{match[0]}}}" if match[2] in PLACEHOLDERS else match[0]

    return PLACE.sub(place, text)
