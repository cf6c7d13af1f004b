"""Templates as files: those that come with the package, and the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import yaml

from qstar_pl.errors import UserError
from qstar_pl.evaluation.judges.llm.native_templates import alpaca_eval_template, mt_bench_template
from qstar_pl.evaluation.judges.llm.template import PLACE, PLACEHOLDERS, Template
from qstar_pl.evaluation.judges.llm.verdict_forms import Marks, Score, VerdictForm
from qstar_pl.types import Turn

FOLDER = Path(__file__).with_name("templates")
_NEEDED = {"pairwise": {"prompt", "answer_1", "answer_2"}, "single": {"prompt", "answer"}}
_PROMPTS = ({"prompt"}, {"first_prompt", "first_answer", "last_prompt"})
_FORMS = {"pairwise": {"first", "second", "tie"}, "single": {"score", "lowest", "highest"}}


def shipped() -> list[str]:
    """Return the names of the templates that come with the package."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def read_template(name: str) -> Template:
    """Return a template.

    Args:
        name: of one that is `shipped`, or a file: *.yaml in this package's form, *.txt as AlpacaEval has it, or
            *.jsonl#NAME, MT-bench's file and the name of one of its prompts.

    Raises:
        UserError: if there is no such template, or it is not in its form; with file and line.

    """
    if name in shipped():
        return own_template(FOLDER / f"{name}.yaml", name)
    file, _, part = name.partition("#")
    path = Path(file).expanduser()
    if not path.is_file():
        known = ", ".join(shipped())
        raise UserError(f"template must be one of {known}, or a file (.yaml, .txt, .jsonl#NAME), got {name}")
    if path.suffix in (".yaml", ".yml"):
        return own_template(path, name)
    if path.suffix == ".txt":
        return alpaca_eval_template(_text(path), path, name)
    if path.suffix == ".jsonl":
        return mt_bench_template(_text(path), path, part, name)
    raise UserError(f"template must end in .yaml, .txt or .jsonl#NAME, got {name}")


def own_template(path: Path, name: str) -> Template:
    """Return a template in this package's form: `kind`, `user`, `verdict`, and a `system` if there is one.

    Raises:
        UserError: if it is in another; with file and line.

    """
    text = _text(path)
    try:
        node, found = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        _refuse(path, mark.line + 1 if mark else 1, f"is not valid YAML: {getattr(error, 'problem', error)}")
    if not isinstance(node, yaml.MappingNode) or not isinstance(found, dict):
        _refuse(path, 1, "must hold kind, user and verdict, got no mapping")
    lines = {key.value: key.start_mark.line + 1 for key, _ in node.value if isinstance(key, yaml.ScalarNode)}
    for key in found:
        if key not in ("kind", "system", "user", "verdict"):
            _refuse(path, lines.get(key, 1), f"must hold kind, system, user and verdict alone, got {key}")
    kind = found.get("kind")
    if kind not in _FORMS:
        _refuse(path, lines.get("kind", 1), f"kind must be pairwise or single, got {kind}")
    for key in ("system", "user"):
        if not isinstance(found.get(key, "" if key == "system" else None), str):
            _refuse(path, lines.get(key, 1), f"{key} must be a text, got {found.get(key)}")
    _check_places(path, text, found, kind, lines)
    turns = [Turn(role, found[role].strip()) for role in ("system", "user") if found.get(role)]
    return Template(name, tuple(turns), _form(path, lines.get("verdict", 1), kind, found.get("verdict")))


def _check_places(path: Path, text: str, found: Mapping[str, str], kind: str, lines: Mapping[str, int]) -> None:
    known = (set(PLACEHOLDERS) - _NEEDED["pairwise"] - _NEEDED["single"]) | _NEEDED[kind]
    names = set()
    for key in ("system", "user"):
        for match in PLACE.finditer(found.get(key, "")):
            if match[2] and match[2] not in known:
                line = next(number for number, one in enumerate(text.split("\n"), 1) if match[0] in one)
                listed = ", ".join(sorted(known))
                _refuse(path, line, f"{match[0]} must be one of {listed} (braces as text are written {{{match[0]}}})")
            names.add(match[2])
    missing = sorted(_NEEDED[kind] - names - {"prompt"})
    if not any(needed <= names for needed in _PROMPTS):
        missing.append("prompt")
    if missing:
        _refuse(path, lines.get("user", 1), f"user must hold {{{missing[0]}}} in a template that is {kind}")


def _form(path: Path, line: int, kind: str, given: Any) -> VerdictForm:
    wanted = _FORMS[kind]
    if not isinstance(given, dict) or not set(given) <= wanted:
        _refuse(path, line, f"verdict must hold {', '.join(sorted(wanted))} in a template that is {kind}, got {given}")
    if kind == "single":
        return _score(path, line, given)
    marks = {key: given.get(key) for key in ("first", "second", "tie") if key != "tie" or key in given}
    for key, mark in marks.items():
        if not isinstance(mark, str) or not mark.strip() or "\n" in mark:
            _refuse(path, line, f"verdict.{key} must be a text of one line (in quotes), got {mark}")
    texts = [str(mark).strip() for mark in marks.values()]
    if len(set(texts)) < len(texts):
        _refuse(path, line, f"the marks of the verdict must differ, got {', '.join(texts)}")
    return Marks(texts[0], texts[1], texts[2] if len(texts) > 2 else None)


def _score(path: Path, line: int, given: Mapping[str, Any]) -> Score:
    mark = given.get("score")
    if not isinstance(mark, str) or mark.count("{score}") != 1 or "\n" in mark:
        _refuse(
            path,
            line,
            f"verdict.score must be a text of one line that holds {{score}}, got {mark}",
        )
    low, high = given.get("lowest", 1), given.get("highest", 10)
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in (low, high)) or not low < high:
        _refuse(path, line, f"verdict.lowest must be a number below verdict.highest, got {low} and {high}")
    before, after = mark.strip().split("{score}")
    return Score(before, after, float(low), float(high))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"template must be a text file in UTF-8 that can be read, got {path}") from error


def _refuse(path: Path, line: int, why: str) -> NoReturn:
    raise UserError(f"{path}:{line}: {why}")
