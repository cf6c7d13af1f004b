"""`qstar generate`: answer a dataset's prompts from π_θ or its mixture with π_t.

A run that was killed goes on when the same command is given again, and ends in the same bytes. Files beside
OUTPUT.jsonl: OUTPUT.diagnostics.jsonl, OUTPUT.run.json, with --save_diagnostics tokens OUTPUT.tokens.parquet; while the
run goes on, all is in OUTPUT.jsonl.work/.

    qstar generate --model_theta tiny/policy --num_samples 4 --output a.jsonl
    qstar generate --model_theta tiny/policy --model_t tiny/expert --output b
    qstar generate --sampler.help
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from lightning.pytorch.strategies import Strategy

from qstar_pl.checks import not_empty
from qstar_pl.cli.class_help import Asked, Page, answer_help
from qstar_pl.cli.layers.typed_paths import TypedPaths
from qstar_pl.cli.parser import OneLineParser, prepared
from qstar_pl.cli.runs.interrupt import Stopped, StopSignals
from qstar_pl.cli.runs.requeue import requeue
from qstar_pl.cli.shipped import with_configurations
from qstar_pl.errors import UserError
from qstar_pl.generation.backend import BACKENDS, check_backend
from qstar_pl.generation.run import GenerationRun, generate_dataset, is_first, resolve_device
from qstar_pl.generation.settings import GenerationSettings
from qstar_pl.quiet import quieten_commands

GROUP = "generate"
"""Below which heading `qstar --help` lists it."""

STRATEGIES = ("policy", "target", "sampler", "data")
MACHINE = ("precision", "dtype", "backend", "device", "devices", "strategy", "trust_remote_code")
MODELS = ("model_theta", "model_t", "prompt_template_t", "alpha_method", "fixed_alpha")
PROMPTS = ("dataset", "prompt_", "response_field", "start_idx", "end_idx", "num_samples", "max_prompt", "max_left_out")
DRAWING = ("samples_per_prompt", "batch_size", "max_new_tokens", "temperature", "top_k", "top_p", "seed")
SECTIONS = {
    "models and mixture": lambda option: option in MODELS,
    "prompts": lambda option: option.startswith(PROMPTS),
    "drawing": lambda option: option in DRAWING,
    "machine": lambda option: option in MACHINE,
    "strategies, instead of these words": lambda option: option in STRATEGIES,
    "output": lambda option: True,
}
"""Headings of the help → which options stand below them, the first that takes one."""
FLAGS = {"save_diagnostics": "rows", "trust_remote_code": True}
"""Options that may be given without a value → the value that they then have."""


def parser() -> OneLineParser:
    """Return the command's parser: the options of `GenerationSettings`, the machine's and the output's."""
    top = OneLineParser(prog="qstar generate")
    top.add_argument("--config", action="config", help="a YAML file of any of these options; by default none")
    # `device` is added below, where it may be "auto"; the settings hold the device that this is resolved to.
    top.add_class_arguments(GenerationSettings, skip={"device"}, instantiate=False, sub_configs=True)
    for action in top._actions:
        if action.dest in FLAGS:
            action.nargs, action.const = "?", FLAGS[action.dest]
    machine = top.add_argument_group("machine")
    machine.add_argument(
        "--backend", type=str, default="auto", help=f"what decodes: {', '.join(BACKENDS)}, all this project's own"
    )
    machine.add_argument("--device", type=str, default="auto", help="auto, cpu, cuda, cuda:<number> or mps")
    machine.add_argument("--devices", type=int, default=1, help="number of processes, one device each")
    machine.add_argument(
        "--strategy",
        type=str | Strategy,
        default="auto",
        help="Lightning's, or fsdp2, which shards the models; auto is ddp for several devices",
    )
    output = top.add_argument_group("output")
    output.add_argument("--output", type=str | None, help="the file of rows, a JSON object per line; must be given")
    output.add_argument("--overwrite", action="store_true", help="begin anew, whatever is there")
    output.add_argument("--quiet", action="store_true", help="show no progress")
    output.add_argument(
        "--date",
        type=str | None,
        help="day that chat templates take for today, YYYY-MM-DD; by default that of the first run",
    )
    return top


def parse(argv: Sequence[str]) -> dict[str, Any]:
    """Return the options by name, with strategies as objects; nothing is loaded yet."""
    words = prepared(argv)
    own, paths, asked = parser(), TypedPaths(), Asked.by(words)
    with paths.in_yaml():
        config = own.parse_args(paths.words(with_configurations(words if asked is None else asked.rest)))
        if asked is not None:
            answer_help(own, Page("qstar generate", __doc__, SECTIONS), asked, config)
        given = own.instantiate(config)
    return {name: value for name, value in given.items() if name != "config"}


def summary(run: GenerationRun) -> str:
    """Return what was done, in one to four lines."""
    if not run.complete:
        return f"{run.output} is not complete: {run.kept_rows} rows were there before; give the same command again"
    lines = [f"{run.output}: {run.rows} rows" + (f", {run.kept_rows} of them kept" if run.kept_rows else "")]
    if run.cut_prompts:
        lines.append(f"  {run.cut_prompts} of {run.prompts} prompts were longer than --max_prompt_tokens and cut")
    if run.new_rows:
        lines.append(
            f"  {run.new_rows} rows and {run.new_tokens} tokens in {run.seconds:.1f} s on this process: "
            f"{run.new_tokens / run.seconds:,.0f} tokens/s, {60 * run.new_rows / run.seconds:,.0f} samples/min"
        )
    if run.drafting is not None:
        lines.append(f"  {run.drafting}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0 if the dataset is complete."""
    quieten_commands()
    given = parse(sys.argv[1:] if argv is None else argv)
    signals = StopSignals()
    signals.catch()  # before the models are loaded, which may take long
    try:
        return generate(given, signals)
    except Stopped as stop:
        if signals.trainer is not None:
            requeue(signals.trainer, stop.number)
        raise
    finally:
        signals.release()


def generate(given: dict[str, Any], signals: StopSignals) -> int:
    """Generate a dataset from the options of `parser`, and return the exit code."""
    output, overwrite, quiet, date = (given.pop(name) for name in ("output", "overwrite", "quiet", "date"))
    not_empty(output=output)
    count, strategy = given.pop("devices"), given.pop("strategy")
    if output is None:
        raise UserError("--output must be given; qstar generate --help lists all options")
    check_backend(given.pop("backend"))
    # `devices` is the index of a device such as cuda:1, or 1; --devices counts processes.
    given["device"], devices = resolve_device(given["device"])
    settings = GenerationSettings(**given)
    for notice in settings.notices if is_first() else ():
        print(notice, file=sys.stderr)
    # Else tokenizers warns in every process that is forked after it has run in parallel.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    run = generate_dataset(
        settings,
        output,
        devices=count if count != 1 else devices,
        strategy=strategy,
        overwrite=overwrite,
        progress=not quiet,
        date=date,
        attach=signals.attach,
    )
    if run.is_global_zero:
        print(summary(run))
        if run.complete:
            print(f"  look at it:  qstar analyze {shlex.quote(str(run.output))}")
    return 0 if run.complete else 1


if __name__ == "__main__":
    sys.exit(main())
