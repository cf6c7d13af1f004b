"""A run ends at its budget, also when it is continued."""

import csv
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from small_run import SMALL

from qstar_pl.callbacks import Budget, ThroughputDiagnostic
from qstar_pl.errors import UserError
from qstar_pl.run_folders.record import Record

WORDS = ("fit", *SMALL, "--trainer.limit_val_batches=0", "--trainer.max_steps=9", "--model.sampler.max_new_tokens=3")
SPENT = "--trainer.callbacks+=Budget", "--trainer.callbacks.unit=samples"


def rows() -> list[dict[str, str]]:
    with Path("runs/q_star/version_0/metrics.csv").open() as file:
        return [row for row in csv.DictReader(file) if row["samples/total"]]


def test_a_run_ends_with_the_step_that_spends_the_rest_and_takes_no_other(qstar) -> None:
    words = (*WORDS, *SPENT, "--trainer.callbacks.amount=20", "--ckpt_path=auto")
    assert qstar(*words)[0] == 0
    assert [float(row["samples/total"]) for row in rows()] == [8, 16, 24]
    assert qstar(*words)[0] == 0
    assert [row["step"] for row in rows()] == ["1", "2", "3"]
    assert Record.read(Path("runs/q_star/version_0"), Path("runs")).state == "finished"


def test_nothing_counts_where_the_counting_callback_is_left_out(qstar) -> None:
    code, _, err = qstar(*WORDS, "--trainer.callbacks=Budget")
    assert code == 2
    assert "must hold a ThroughputDiagnostic beside Budget" in err


@pytest.mark.parametrize(("amount", "ends"), [(20, True), (21, False)])
def test_it_is_that_of_all_processes(amount: int, ends: bool) -> None:
    counting, budget = ThroughputDiagnostic(), Budget(amount=amount)
    for name, value in {"samples": 10.0, "tokens": 70.0, "generated": 30.0}.items():
        counting.add(name, value)
    twice = SimpleNamespace(root_device=torch.device("cpu"), reduce=lambda values, reduce_op: 2 * values)
    trainer = SimpleNamespace(callbacks=[budget, counting], strategy=twice, should_stop=False)
    budget._end_if_spent(trainer)
    assert trainer.should_stop is ends


def test_a_budget_is_positive() -> None:
    with pytest.raises(UserError, match="amount must be at least 1, got 0"):
        Budget(amount=0)
