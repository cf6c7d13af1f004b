"""The gold reward: what an answer is really worth, as opposed to what a trained reward model believes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qstar_pl.errors import UserError
from qstar_pl.tiny_world.gold_code import known_tests
from qstar_pl.tiny_world.gold_dialogue import any_answer, known_fact
from qstar_pl.tiny_world.gold_summary import any_summary, known_story


def _dialogue(question: str, answer: str, facts: Mapping[str, Any]) -> float:
    if has_facts(facts):
        return known_fact(question, answer, facts["subject"], facts["attribute"], facts["value"])
    return any_answer(question, answer)


def _summary(question: str, answer: str, facts: Mapping[str, Any]) -> float:
    post = question.removesuffix("TL;DR:")
    if has_facts(facts):
        return known_story(post, answer, facts["who"], facts["problem"], facts["wish"])
    return any_summary(post, answer)


def _code(question: str, answer: str, facts: Mapping[str, Any]) -> float:
    if not has_facts(facts):
        raise UserError(
            "data must bring `arguments` and `tests` for the gold reward of code, as the tiny world's rows do, "
            f"got {sorted(facts)}; programs from elsewhere are scored by running their own tests"
        )
    return known_tests(answer, facts["arguments"], facts["tests"])


_FORMULAS: Mapping[str, Callable[[str, str, Mapping[str, Any]], float]] = {
    "dialogue": _dialogue,
    "summary": _summary,
    "code": _code,
}


_FACTS: Mapping[str, frozenset[str]] = {
    "dialogue": frozenset({"subject", "attribute", "value"}),
    "summary": frozenset({"who", "problem", "wish"}),
    "code": frozenset({"arguments", "tests"}),
}


def has_facts(metadata: Mapping[str, Any]) -> bool:
    """Return whether a row holds the tiny world's facts: then its gold reward is the truth, and no heuristic."""
    facts = _FACTS.get(metadata.get("task", "dialogue"))
    return facts is not None and facts <= metadata.keys()


def why_unknown(metadata: Mapping[str, Any]) -> str | None:
    """Return why answers to such a row have no gold reward, None if they have one."""
    task = metadata.get("task", "dialogue")
    if task not in _FORMULAS:
        return f"its task is {task}, not one of {', '.join(_FORMULAS)}"
    if task == "code" and not has_facts(metadata):
        return "it has no tests in the tiny world's form"
    return None


def gold_reward(question: str, answer: str, metadata: Mapping[str, Any]) -> float:
    """Return the gold reward in [0, 1] of `answer` to `question`, the user's last turn.

    `metadata["task"]` (default "dialogue") picks the formula: `known_fact`, `known_story` or `known_tests` where the
    metadata hold the tiny world's facts; for a dialogue or a post from elsewhere the heuristics `any_answer` and
    `any_summary`, which read nothing but the text.

    Raises:
        UserError: if the task has no gold reward, or a program comes without tests in the tiny world's form.

    """
    task = metadata.get("task", "dialogue")
    if task not in _FORMULAS:
        raise UserError(f"data must have a task with a gold reward, one of {', '.join(_FORMULAS)}, got {task}")
    return float(_FORMULAS[task](question, answer, metadata))
