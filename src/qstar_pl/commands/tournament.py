"""`qstar tournament`: many methods' answers to the same prompts, judged two at a time, and rated.

    qstar tournament --answers chosen rejected --judge=GoldJudge --output ratings
    qstar tournament --answers a.jsonl ours=b.jsonl --judge=GoldJudge --output all

Any two methods meet on every prompt that both have answered. Printed are how often each beats each, and ratings by
Bradley and Terry's model on Elo's scale, with intervals clustered by prompt. In OUTPUT/ are ratings.json and
comparisons.jsonl, which `qstar win-rate` reads (win rates at equal lengths among other things). A tournament that was
killed goes on when the same command is given again; verdicts that are there are not asked for anew.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from qstar_pl.checks import at_least, not_empty, within
from qstar_pl.cli.class_help import Asked, Page, answer_help
from qstar_pl.cli.layers.typed_paths import TypedPaths
from qstar_pl.cli.parser import OneLineParser, prepared
from qstar_pl.cli.shipped import with_configurations
from qstar_pl.commands.win_rate import print_ratings
from qstar_pl.data.records import json_line
from qstar_pl.data.wording import OF_GENERATE, speaking
from qstar_pl.errors import UserError
from qstar_pl.evaluating.answering import answered
from qstar_pl.evaluating.folder import EvaluationFolder
from qstar_pl.evaluating.launch import Launch
from qstar_pl.evaluating.progress import StageProgress
from qstar_pl.evaluating.prompts import read_prompts
from qstar_pl.evaluating.ranks import Ranks
from qstar_pl.evaluating.settings import EvaluationSettings
from qstar_pl.evaluating.sources import source_of
from qstar_pl.evaluating.stages.stage import Stage
from qstar_pl.evaluating.tournament import judged, rated, round_robin, rows_of, win_rates
from qstar_pl.evaluation.judges import Judge, Verdict, check_knows
from qstar_pl.files import write_text
from qstar_pl.generation.run import resolve_device
from qstar_pl.generation.workspace import replace_file
from qstar_pl.locks import Lock
from qstar_pl.quiet import quieten_commands
from qstar_pl.spelling import counted

if TYPE_CHECKING:
    from qstar_pl.evaluation.statistics.rows import Floats

GROUP = "look"
"""Below which heading `qstar --help` lists it."""
CHUNK = 16
"""Prompts whose matches are judged together, and lost together by a kill."""
OWN = ("answers", "judge", "output", "overwrite", "quiet", "prior")
OF_EVALUATE = {"answers", "baseline", "judge", "metrics", "reward", "gold", "resamples", "device"}
"""Options of `qstar evaluate` that mean something else here, or nothing."""
DRAWING = (
    "batch_size",
    "device",
    "dtype",
    "max_new_tokens",
    "max_prompt_tokens",
    "precision",
    "samples_per_prompt",
    "seed",
    "temperature",
    "top_k",
    "top_p",
    "trust_remote_code",
)
SECTIONS = {
    "methods and judge": lambda option: option in ("answers", "judge"),
    "prompts": lambda option: option.startswith(("data", "prompt_", "response_", "start_", "end_", "num_", "max_l")),
    "ratings": lambda option: option in ("prior", "confidence"),
    "answers of models": lambda option: option in DRAWING,
    "output": lambda option: True,
}
"""Headings of the help → which options stand below them, the first that takes one."""


def parser() -> OneLineParser:
    """Return the command's parser."""
    top = OneLineParser(prog="qstar tournament")
    top.add_argument("--config", action="config", help="a YAML file of any of these options; by default none")
    top.add_argument(
        "--answers",
        type=str,
        nargs="+",
        help="two methods or more, each a file of answers, a model, chosen or rejected, as in qstar evaluate; NAME=…"
        " gives it a name; must be given",
    )
    top.add_argument("--judge", type=Judge | None, help="who says which of two answers is better; must be given")
    top.add_argument("--prior", type=float, default=0.0, help="draws added to every pair before rating")
    top.add_argument("--output", type=str | None, help="the folder of all files; must be given")
    top.add_argument("--overwrite", action="store_true", help="ask for all verdicts anew")
    top.add_argument("--quiet", action="store_true", help="show no progress")
    top.add_argument("--device", type=str, default="auto", help="auto, cpu, cuda, cuda:<number> or mps")
    top.add_class_arguments(EvaluationSettings, skip=OF_EVALUATE, instantiate=False, sub_configs=True)
    return top


def parse(argv: Sequence[str]) -> dict[str, Any]:
    """Return the options by name, the judge and the data as objects."""
    words = prepared(argv)
    own, paths, asked = parser(), TypedPaths(), Asked.by(words)
    with paths.in_yaml():
        config = own.parse_args(paths.words(with_configurations(words if asked is None else asked.rest)))
        if asked is not None:
            answer_help(own, Page("qstar tournament", __doc__, SECTIONS), asked, config)
        return {name: value for name, value in own.instantiate(config).items() if name != "config"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    quieten_commands()
    options = parse(sys.argv[1:] if argv is None else argv)
    given = {name: options.pop(name) for name in OWN}
    options["device"], _ = resolve_device(options["device"])
    not_empty(output=given["output"])
    for name in ("answers", "judge", "output"):
        if not given[name]:
            raise UserError(f"--{name} must be given; qstar tournament --help lists all options")
    at_least(0, prior=given["prior"])
    within("(0, 1)", confidence=options["confidence"])
    methods = named(given["answers"])
    folder = EvaluationFolder(Path(given["output"]))
    lock = Lock.acquire(folder.lock, str(folder))
    try:
        Tournament(methods, given, options, folder).run()
    finally:
        lock.release()
    return 0


def named(words: Sequence[str]) -> dict[str, str]:
    """Return name → what `source_of` reads; the name is what stands before "=", or else the file's.

    Raises:
        UserError: if there are not two, or two of one name.

    """
    pairs = [_named(word) for word in words]
    if len(pairs) < 2:
        raise UserError(f"answers must be of two methods or more, got {len(pairs)}")
    if twice := [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]:
        raise UserError(f"answers must have names of their own (NAME=FILE gives one), got {twice[0]} twice")
    return dict(pairs)


def _named(word: str) -> tuple[str, str]:
    name, equals, rest = word.partition("=")
    if equals and name and not Path(word).exists():
        return name, rest
    return (Path(word).name.partition(".")[0] or word) if Path(word).is_file() else word, word


class Tournament:
    """One tournament, from its words to what is printed."""

    def __init__(
        self, methods: Mapping[str, str], given: Mapping[str, Any], options: Mapping[str, Any], folder: EvaluationFolder
    ) -> None:
        self.methods = methods
        self.judge: Judge = given["judge"]
        self.given = given
        self.settings = EvaluationSettings(answers=next(iter(methods.values())), **options)
        self.folder = folder

    def run(self) -> None:
        """Answer, judge, rate, write and print."""
        with speaking(OF_GENERATE):
            prompts = read_prompts(self.settings.prompts())
        check_knows(self.judge, [row.example for row in prompts.rows], prompts.name)
        launch = Launch(progress=not self.given["quiet"])
        found = {}
        for name, word in self.methods.items():
            source = source_of(word, "answers", self.settings.dtype, self.settings.trust_remote_code)
            # A model's answers need a file of their own; of a file's, messages name the option.
            argument = "answers" if source.model is None else f"answers_{re.sub(r'[^A-Za-z0-9.-]+', '_', name)}"
            found[name] = answered(source, argument, prompts, self.settings, self.folder, launch)
        of_prompts = round_robin(prompts, found)
        if not of_prompts:
            raise UserError(f"answers must have a prompt in common, got none among {', '.join(found)}")
        matches = [match for own in of_prompts for match in own]
        about = {"data": prompts.digest, "methods": {name: one.facts for name, one in found.items()}}
        verdicts = self._verdicts(of_prompts, about)
        self._report(list(found), matches, verdicts)

    def _verdicts(self, of_prompts: Sequence[Sequence[Any]], about: Mapping[str, Any]) -> list[Verdict]:
        device = torch.device(self.settings.device)
        self.judge.build(None)
        for model in self.judge.models():
            model.to(device)
        identity = {**about, "judge": self.judge.description, "fingerprint": self.judge.fingerprint}
        stage = Stage(self.folder.path / "verdicts", identity, len(of_prompts), CHUNK)
        if self.given["overwrite"]:
            shutil.rmtree(stage.folder, ignore_errors=True)
        if changed := stage.begin():
            print(f"verdicts are found anew: {'; '.join(changed)}", file=sys.stderr, flush=True)
        progress = StageProgress("judging", not self.given["quiet"])

        def work(rows: Sequence[int]) -> list[dict[str, Any]]:
            own = [of_prompts[row] for row in rows]
            flat = [match for matches in own for match in matches]
            share = len(rows) / len(flat)
            told = iter(judged(self.judge, flat, lambda count: progress.advance(share * count)))
            return [{"verdicts": [next(told).as_json() for _ in matches]} for matches in own]

        try:
            stage.run(work, Ranks(device), progress)
        finally:
            self.judge.close()
        return [Verdict.of_json(one) for record in stage.records() for one in record["verdicts"]]

    def _report(self, names: Sequence[str], matches: Sequence[Any], verdicts: Sequence[Verdict]) -> None:
        ratings, refusal = None, ""
        try:
            ratings = rated(matches, verdicts, prior=self.given["prior"], confidence=self.settings.confidence)
        except UserError as error:
            refusal = str(error)
        order = [one.name for one in ratings.methods] if ratings is not None else list(names)
        table = win_rates(order, matches, verdicts)
        missing = Counter(one.reason for one in verdicts if one.preference is None)
        rows = b"".join(json_line(row) for row in rows_of(matches, verdicts))
        replace_file(self.folder.path / "comparisons.jsonl", rows)
        numbers = {
            "judge": self.judge.description,
            "comparisons": len(matches),
            "no_verdict": dict(missing.most_common()),
            "judge_report": dict(self.judge.report()),
            "methods": order,
            "win_rates": [[None if value != value else value for value in row] for row in table.tolist()],
            "ratings": None if ratings is None else [asdict(one) for one in ratings.methods],
            "no_ratings": refusal or None,
        }
        write_text(self.folder.path / "ratings.json", json.dumps(numbers, indent=2, default=str) + "\n")
        prompts = len({match.row for match in matches})
        ties = sum(one.tie for one in verdicts)
        lacking = f", {missing.total()} without a verdict" if missing else ""
        done = f"{counted(len(matches), 'comparison')}, {counted(ties, 'tie')}{lacking}"
        print(f"{len(names)} methods on {counted(prompts, 'prompt')}: {done}")
        for reason, count in missing.most_common(3):
            print(f"  {count} without a verdict: {reason}")
        print(f"judge {self.judge.description}")
        print_matrix(order, table)
        if ratings is not None:
            print_ratings(ratings)
        else:
            print(f"note: no ratings: {refusal}", file=sys.stderr)
        print(f"{self.folder.path}: ratings.json, comparisons.jsonl")


def print_matrix(names: Sequence[str], table: Floats) -> None:
    """Print how often the method of each row is preferred to those of the columns, in percent."""
    from rich.table import Table

    from qstar_pl.console import SpellingConsole

    console = SpellingConsole()
    console.print("wins against, % (a tie is half a win)", soft_wrap=True)  # a title would wrap at the table's width
    shown = Table()
    shown.add_column("method")
    for name in names:
        shown.add_column(console.verbatim(name), justify="right")
    for name, row in zip(names, table.tolist(), strict=True):
        shown.add_row(console.verbatim(name), *["" if value != value else f"{100 * value:.1f}" for value in row])
    console.print(shown)


if __name__ == "__main__":
    sys.exit(main())
