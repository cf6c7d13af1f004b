"""A generated data set that takes a second, and the bytes of what it leaves."""

from pathlib import Path
from typing import Any

from qstar_pl.generation import GenerationRun, GenerationSettings, generate_dataset

SMALL: dict[str, Any] = {
    "model_theta": "tiny/policy",
    "model_t": "tiny/expert",
    "dataset": "tiny",
    "end_idx": 10,
    "samples_per_prompt": 2,
    "batch_size": 3,
    "max_new_tokens": 5,
}
SUFFIXES = (".jsonl", ".diagnostics.jsonl", ".run.json", ".tokens.parquet")


def small_settings(**changes: Any) -> GenerationSettings:
    return GenerationSettings(**{**SMALL, **changes})


def run_small(
    output: str | Path = "out.jsonl", trainer_options: Any = None, overwrite: bool = False, **changes: Any
) -> GenerationRun:
    settings = small_settings(**changes)
    return generate_dataset(settings, output, progress=False, overwrite=overwrite, trainer_options=trainer_options)


def contents(output: Path) -> dict[str, bytes]:
    """The bytes of all files of a run, by suffix; nothing else may be there."""
    files = {path.name.removeprefix(output.stem): path for path in output.parent.glob(f"{output.stem}.*")}
    assert set(files) <= set(SUFFIXES), files
    return {suffix: path.read_bytes() for suffix, path in files.items()}
