"""What a run starts from is measured, and changes nothing that follows."""

import csv
from pathlib import Path

from small_run import SMALL

TIMES = ("time/", "memory/", "tokens/per_s")


def rows(name: str) -> list[dict[str, str]]:
    with Path(f"runs/{name}/version_0/metrics.csv").open() as file:
        return [{key: value for key, value in row.items() if not key.startswith(TIMES)} for row in csv.DictReader(file)]


def test_a_first_point_and_the_same_run(qstar) -> None:
    words = ("fit", *SMALL, "--trainer.max_steps=2", "--model.sampler.max_new_tokens=3")
    assert qstar(*words, "--name=plain")[0] == 0
    assert qstar(*words, "--name=first", "--trainer.callbacks+=ValidateFirst")[0] == 0
    start, *others = rows("first")
    assert (start["step"], float(start["samples/total"]), float(start["val/kl_policy_reference"])) == ("0", 0, 0)
    assert start["val/reward_gold"] != ""
    assert others == rows("plain")
