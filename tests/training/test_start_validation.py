"""What a run starts from is measured, and changes nothing that follows."""

import csv
from pathlib import Path

import pytest
from small_run import SMALL

from qstar_pl.run_folders.kept import whole_lines

TIMES = ("time/", "memory/", "tokens/per_s")


def rows(name: str) -> list[dict[str, str]]:
    with Path(f"runs/{name}/version_0/metrics.csv").open() as file:
        return [{key: value for key, value in row.items() if not key.startswith(TIMES)} for row in csv.DictReader(file)]


def test_a_first_point_and_the_same_run(qstar) -> None:
    words = (
        "fit",
        *SMALL,
        "--trainer.max_steps=2",
        "--model.sampler.max_new_tokens=3",
        "--data.val_fraction=0.2",
        "--data.eval_batch_size=4",
    )
    assert qstar(*words, "--name=plain")[0] == 0
    assert qstar(*words, "--name=first", "--trainer.callbacks+=ValidateFirst")[0] == 0
    start, *others = rows("first")
    assert (start["step"], float(start["samples/total"]), float(start["val/kl_policy_reference"])) == ("0", 0, 0)
    assert start["val/reward_gold"] != ""
    assert others == rows("plain")
    kept = whole_lines(Path("runs/first/version_0/answers.jsonl"))
    assert [(row["step"], row["prompt"]) for row in kept] == [(step, number) for step in (0, 2) for number in range(4)]
    for key, metric in {"reward_gold": "val/reward_gold", "tokens": "val/completion_length"}.items():
        assert sum(row[key] for row in kept[:4]) / 4 == pytest.approx(float(start[metric]))
