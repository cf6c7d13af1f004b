import csv
import math
from pathlib import Path

import pytest
from small_run import SMALL

from qstar_pl.cli.layers.schedules import as_long_as_the_run

RUN = ("fit", *SMALL, "--model=SFT", "--trainer.limit_val_batches=0", "--model.optimizer=SGD", "--model.optimizer.lr=1")


@pytest.mark.parametrize("words", [(), ("--model.lr_scheduler.T_max=8",)])
def test_torch_s_cosine_is_as_long_as_the_run_unless_it_is_given_a_length(words, qstar):
    code, _, err = qstar(*RUN, "--model.lr_scheduler=CosineAnnealingLR", *words, "--trainer.max_steps=2")
    assert code == 0, err
    with Path("runs/sft/version_0/metrics.csv").open(newline="") as file:
        rates = [float(row["lr"]) for row in csv.DictReader(file) if row["lr"]]
    length = 8 if words else 2
    assert rates == pytest.approx([(1 + math.cos(math.pi * step / length)) / 2 for step in (0, 1)])


def test_others_need_no_layer():
    assert as_long_as_the_run("LinearLR") is None
    assert as_long_as_the_run(None) is None
