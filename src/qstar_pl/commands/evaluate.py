"""`qstar evaluate`: score answers by metrics and judges, against a baseline, every number with its interval.

Answers come from a model or from a file. An evaluation that was killed goes on when the same command is given again,
and ends in the same bytes. In OUTPUT/ are results.json, results.md, scores.jsonl (a line per prompt) and times.json.

    qstar evaluate --answers tiny/policy --baseline chosen --output evaluation
    qstar evaluate --answers code.jsonl --dataset HumanEval.jsonl --output code
    qstar evaluate --answers.help
    qstar evaluate --judge_only --judge=GoldJudge --output evaluation
    qstar evaluate --from_scores evaluation --confidence 0.9
    qstar evaluate --metrics.help
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.strategies import Strategy

from qstar_pl.checks import not_empty
from qstar_pl.cli.class_help import Asked, Page, answer_help
from qstar_pl.cli.layers.typed_paths import TypedPaths
from qstar_pl.cli.parser import OneLineParser, prepared
from qstar_pl.cli.runs.interrupt import Stopped, StopSignals
from qstar_pl.cli.runs.requeue import requeue
from qstar_pl.cli.shipped import with_configurations
from qstar_pl.cli.words import options
from qstar_pl.data.reading.read import SUFFIXES
from qstar_pl.errors import UserError
from qstar_pl.evaluating.again import report_again
from qstar_pl.evaluating.folder import EvaluationFolder
from qstar_pl.evaluating.launch import Launch
from qstar_pl.evaluating.report import Report, printed
from qstar_pl.evaluating.run import evaluate
from qstar_pl.evaluating.settings import EvaluationSettings
from qstar_pl.generation.run import resolve_device
from qstar_pl.quiet import quieten_commands

GROUP = "look"
"""Below which heading `qstar --help` lists it."""

SIDES = ("answers", "baseline", "judge", "metrics", "reward", "gold", "reference")
PROMPTS = (
    "data",
    "prompt_",
    "response_field",
    "start_idx",
    "end_idx",
    "num_samples",
    "max_prompt",
    "max_completion",
    "max_left_out",
)
DRAWING = ("samples_per_prompt", "batch_size", "max_new_tokens", "temperature", "top_k", "top_p", "seed")
MACHINE = ("precision", "dtype", "device", "devices", "strategy", "trust_remote_code")
SECTIONS = {
    "what is evaluated, and how": lambda option: option in SIDES,
    "prompts": lambda option: option.startswith(PROMPTS),
    "answers of models": lambda option: option in DRAWING,
    "statistics": lambda option: option in ("confidence", "resamples", "from_scores"),
    "machine": lambda option: option in MACHINE,
    "output": lambda option: True,
}
"""Headings of the help → which options stand below them, the first that takes one."""
NOT_KEPT = ("config", "output", "overwrite", "judge_only", "from_scores", "quiet")
"""Options of a call, which are not stored beside its results."""


def parser() -> OneLineParser:
    """Return the command's parser: the options of `EvaluationSettings`, the machine's and the output's."""
    top = OneLineParser(prog="qstar evaluate")
    top.add_argument("--config", action="config", help="a YAML file of any of these options; by default none")
    top.add_class_arguments(EvaluationSettings, skip={"device"}, instantiate=False, sub_configs=True)
    for action in top._actions:
        if action.dest == "trust_remote_code":
            action.nargs, action.const = "?", True
    machine = top.add_argument_group("machine")
    machine.add_argument("--device", type=str, default="auto", help="auto, cpu, cuda, cuda:<number> or mps")
    machine.add_argument("--devices", type=int, default=1, help="number of processes, one device each")
    machine.add_argument(
        "--strategy",
        type=str | Strategy,
        default="auto",
        help="Lightning's, or fsdp2, for models that answer; auto is ddp for several devices",
    )
    output = top.add_argument_group("output")
    output.add_argument("--output", type=str | None, help="the folder of all files; must be given")
    output.add_argument("--overwrite", action="store_true", help="begin anew, whatever is there")
    output.add_argument(
        "--judge_only",
        action="store_true",
        help="judge the answers anew that an evaluation has left in OUTPUT; its options need not be given again",
    )
    output.add_argument(
        "--from_scores",
        type=str | None,
        help="form the statistics anew from this folder's scores.jsonl, without answers, models or judges",
    )
    output.add_argument("--quiet", action="store_true", help="show no progress")
    output.add_argument(
        "--date",
        type=str | None,
        help="day that chat templates take for today, YYYY-MM-DD; by default that of the first run",
    )
    return top


def parse(argv: Sequence[str]) -> dict[str, Any]:
    """Return the options by name, with strategies as objects, and as "config" all of them as YAML."""
    words = prepared(argv)
    own, paths, asked = parser(), TypedPaths(), Asked.by(words)
    with paths.in_yaml():
        rest = with_files(words if asked is None else asked.rest)
        config = own.parse_args(paths.words(with_configurations([*stored_options(rest), *rest])))
        if asked is not None:
            answer_help(own, Page("qstar evaluate", __doc__, SECTIONS), asked, config)
        given = own.instantiate(config)
        kept = config.clone()
        for name in NOT_KEPT:
            kept.pop(name, None)
        text = own.dump(kept, skip_unset=True, skip_validation=True)
    return {**{name: value for name, value in given.items() if name != "config"}, "config": text}


def with_files(words: Sequence[str]) -> list[str]:
    """Return the words with a file of answers as the class that reads it, whose options may then follow."""
    found: list[str] = []
    for one in options(words):
        if one.name in ("--answers", "--baseline") and (one.value or "").endswith(SUFFIXES):
            found += [f"{one.name}=AnswersFile", f"{one.name}.path={one.value}"]
        else:
            found += one.words
    return found


def stored_options(words: Sequence[str]) -> list[str]:
    """Return the words that lay the options of the evaluation at hand below those of the command line."""
    found = _stored(words)
    return [] if found is None or not found.is_file() else ["--config", str(found)]


def _stored(words: Sequence[str]) -> Path | None:
    """Return the file of the options of an evaluation that the words go on from; None if they go on from none."""
    given = {one.name: one.value for one in options(words)}
    folder = given.get("--from_scores") or (given.get("--output") if "--judge_only" in given else None)
    return EvaluationFolder(Path(folder)).config if folder else None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    quieten_commands()
    words = list(sys.argv[1:] if argv is None else argv)
    stored = _stored(prepared(words))
    if stored is not None and not stored.is_file() and Asked.by(words) is None:
        name = "from_scores" if "--from_scores" in " ".join(words) else "output"
        raise UserError(f"{name} must be the folder of an evaluation, got {stored.parent} without {stored.name}")
    given = parse(words)
    signals = StopSignals()
    signals.catch()  # before models are loaded, which may take long
    try:
        return run(given, signals)
    except Stopped as stop:
        if signals.trainer is not None:
            requeue(signals.trainer, stop.number)
        raise
    finally:
        signals.release()


def run(given: dict[str, Any], signals: StopSignals) -> int:
    """Evaluate with the options of `parser`, and return the exit code."""
    output, quiet, scores = (given.pop(name) for name in ("output", "quiet", "from_scores"))
    not_empty(output=output, from_scores=scores)
    own = {name: given.pop(name) for name in ("overwrite", "judge_only", "date", "strategy", "config")}
    count = given.pop("devices")
    given["device"], devices = resolve_device(given["device"])
    if scores is not None:
        settings = EvaluationSettings(**given)
        show(report_again(settings, Path(scores), Path(output or scores)), Path(output or scores))
        return 0
    if output is None:
        raise UserError("--output must be given; qstar evaluate --help lists all options")
    # Else tokenizers warns in every process that is forked after it has run in parallel.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    signals.going_on = f"what was finished is kept in {output}, and the same command goes on with the evaluation"
    launch = Launch(devices=count if count != 1 else devices, progress=not quiet, attach=signals.attach, **own)
    done = evaluate(EvaluationSettings(**given), Path(output), launch)
    if done.report is not None:
        show(done.report, Path(output))
        print(f"  {done.clock.line()}")
    return 0


def show(report: Report, output: Path) -> None:
    """Print the table, and where the files are."""
    printed(report)
    print(f"{output}: results.json, results.md, scores.jsonl")


if __name__ == "__main__":
    sys.exit(main())
