"""`qstar generate`: answers of π_θ or of its mixture with π_t to a dataset's prompts."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qstar_pl.cli.tool_parser import ToolParser
from qstar_pl.generation.backend import BACKENDS, check_backend
from qstar_pl.generation.run import GenerationRun, generate_dataset, is_first, resolve_device
from qstar_pl.generation.settings import ADAPTER_WORDS, ALPHA_METHODS, DIAGNOSTICS, PROMPT_FORMATS, GenerationSettings

if TYPE_CHECKING:
    from qstar_pl.cli.runs.interrupt import StopSignals

EPILOG = """A run that was killed goes on when the same command is given again, and ends in the same bytes. Files beside
OUTPUT.jsonl: OUTPUT.diagnostics.jsonl, OUTPUT.run.json, with --save_diagnostics tokens OUTPUT.tokens.parquet; while the
run goes on, all is in OUTPUT.jsonl.work/."""


def parser() -> ToolParser:
    """Return the command's parser; its names are those of `GenerationSettings`."""
    top = ToolParser(prog="qstar generate", description=__doc__, epilog=EPILOG)
    models = top.add_argument_group("models")
    models.add_argument("--model_theta", required=True, help="π_θ: hub id, folder, .ckpt of qstar fit, tiny/policy")
    models.add_argument("--model_t", help="π_t, likewise (tiny/expert); without it π_θ alone is sampled")
    models.add_argument("--prompt_template_t", help="what π_t reads: a text with {prompt}, or a Jinja chat template")
    models.add_argument("--dtype", default="float32", help="of the weights: float32, bfloat16, float16, float64")
    models.add_argument("--trust_remote_code", action="store_true", help="run Python code that comes with the models")
    sampling = top.add_argument_group("sampling")
    sampling.add_argument("--alpha_method", help=f"with --model_t: one of {', '.join(ALPHA_METHODS)} (kl_symmetric)")
    sampling.add_argument("--fixed_alpha", type=float, help="with --alpha_method fixed: exponent of π_θ (0.5)")
    sampling.add_argument("--samples_per_prompt", type=int, default=1, help="answers to each prompt")
    sampling.add_argument("--max_new_tokens", type=int, default=128, help="longest answer, EOS included")
    sampling.add_argument("--temperature", type=float, default=1.0, help="of q")
    sampling.add_argument("--top_p", type=float, help="of q")
    sampling.add_argument("--top_k", type=int, help="of q")
    sampling.add_argument("--seed", type=int, default=0)
    data = top.add_argument_group("data")
    data.add_argument("--dataset", default="tiny", help="tiny, a .json(l)(.gz) or .parquet file, a folder, a hub id")
    data.add_argument("--dataset_split", help="on the hub: which split; in a folder: a word in the files' paths")
    data.add_argument(
        "--dataset_adapter",
        help=f'{", ".join(ADAPTER_WORDS)}, a class such as HHRLHF, or {{"class_path": …, "init_args": …}}',
    )
    data.add_argument("--prompt_field", help="column of the prompt; without it the columns are looked at")
    data.add_argument("--response_field", help="column of the answer, to leave rows without one out")
    data.add_argument("--prompt_format", default="dialogue", help=f"one of {', '.join(PROMPT_FORMATS)}")
    data.add_argument("--start_idx", type=int, default=0, help="first row")
    data.add_argument("--end_idx", type=int, help="row behind the last one")
    data.add_argument("--num_samples", type=int, help="most rows that are answered, from --start_idx on")
    data.add_argument(
        "--max_left_out", type=float, default=0.5, help="largest share of rows that may be unreadable or unusable"
    )
    data.add_argument("--date", help="what chat templates take for today, YYYY-MM-DD (the first run's day)")
    data.add_argument("--max_prompt_tokens", type=int, default=512, help="longer prompts are cut on the left")
    machine = top.add_argument_group("machine")
    machine.add_argument("--batch_size", type=int, default=8, help="prompts decoded together, sorted by length")
    machine.add_argument(
        "--backend", default="auto", help=f"what decodes: {', '.join(BACKENDS)}, all this project's own"
    )
    machine.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:<number> or mps")
    machine.add_argument("--devices", type=int, default=1, help="number of processes, one device each")
    machine.add_argument("--strategy", default="auto", help="Lightning's; auto is ddp for several devices")
    machine.add_argument("--precision", default="32-true", help="Lightning's, e.g. bf16-mixed")
    output = top.add_argument_group("output")
    output.add_argument("--output", type=Path, required=True, help="a JSON object per line")
    output.add_argument(
        "--save_diagnostics",
        nargs="?",
        const="rows",
        default="rows",
        help=f"one of {', '.join(DIAGNOSTICS)} (default, and without a value: rows)",
    )
    output.add_argument("--overwrite", action="store_true", help="begin anew, whatever is there")
    output.add_argument("--quiet", action="store_true", help="no progress")
    return top


def summary(run: GenerationRun) -> str:
    """Return what was done, in a line or two."""
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
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0 if the data set is complete."""
    given = vars(parser().parse_args(argv))
    # After the words have been understood: these take a second.
    from qstar_pl.cli.quiet import quieten
    from qstar_pl.cli.runs.interrupt import Stopped, StopSignals
    from qstar_pl.cli.runs.requeue import requeue

    signals = StopSignals()
    signals.catch()
    try:
        quieten()
        return generate(given, signals)
    except Stopped as stop:
        if signals.trainer is not None:
            requeue(signals.trainer, stop.number)
        raise
    finally:
        signals.release()


def generate(given: dict[str, Any], signals: StopSignals) -> int:
    """Generate what the options of `parser` say; return the exit code."""
    output, overwrite, quiet, date = (given.pop(name) for name in ("output", "overwrite", "quiet", "date"))
    count, strategy = given.pop("devices"), given.pop("strategy")
    check_backend(given.pop("backend"))
    given["device"], devices = resolve_device(given["device"])
    settings = GenerationSettings(**given)
    for notice in settings.notices if is_first() else ():
        print(notice, file=sys.stderr)
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
    return 0 if run.complete else 1


if __name__ == "__main__":
    sys.exit(main())
