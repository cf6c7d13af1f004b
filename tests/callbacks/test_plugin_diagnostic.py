"""A diagnostic from outside the package: one class, named by its path in YAML or on the command line."""

import csv
import sys
from pathlib import Path

import pytest
from documents import recipe
from lightning.pytorch import Trainer
from reference.toy_training import make_rows, report_of, take, train
from small_run import SMALL

from qstar_pl.callbacks import MAX, Diagnostics, ESSDiagnostic, RolloutDiagnostic


@pytest.fixture(autouse=True)
def somebodys_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe("diagnostic", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_diagnostic", raising=False)


def test_it_is_added_to_the_defaults_by_its_path(qstar) -> None:
    Path("more.yaml").write_text("- class_path: my_diagnostic.FarTokens\n  init_args: {bound: 0.0}\n")
    short = ("--trainer.max_steps=2", "--trainer.limit_val_batches=0", "--model.sampler.max_new_tokens=6")
    assert qstar("fit", *SMALL, *short, "--trainer.callbacks+=more.yaml")[0] == 0
    with Path("runs", "q_star", "version_0", "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert all(float(row["weights_token/far_fraction"]) > 0.9 and row["alpha/mean"] for row in rows)


class Longest(RolloutDiagnostic):
    def observe_rollout(self, report):
        self.add("longest", report.weighted.scored.rollout.completion_mask.sum(-1).max(), MAX)

    def compute(self, stats):
        return {"answers/longest": stats["longest"]}


def test_the_owner_stands_behind_the_last_of_them_and_is_one() -> None:
    rows = make_rows(4, 5)
    trainer, logger = train(lambda _, loss: report_of(take(rows, range(4)), loss), 1, [ESSDiagnostic(), Longest()])
    kinds = [type(callback) for callback in trainer.callbacks]
    assert kinds[:3] == [ESSDiagnostic, Longest, Diagnostics]
    assert kinds.count(Diagnostics) == 1
    assert logger.calls[0][1]["answers/longest"] == rows["mask"].sum(-1).max()


def test_each_trainer_has_an_owner_of_its_own() -> None:
    """The same diagnostics in a second trainer, and one that named the owner itself, feed nobody else's."""
    diagnostic, rows = Longest(), make_rows(4, 5)

    def fit(*callbacks) -> tuple[Trainer, list[float]]:
        trainer, logger = train(lambda n, loss: report_of(take(rows, [n]), loss), 2, callbacks)
        return trainer, [metrics["answers/longest"] for _, metrics in logger.calls]

    (first, one), (second, two) = fit(diagnostic), fit(Diagnostics(), diagnostic)
    assert one == two == rows["mask"].sum(-1)[:2].tolist()
    owners = [c for trainer in (first, second) for c in trainer.callbacks if isinstance(c, Diagnostics)]
    assert len(set(owners)) == 2
    assert [owner.bus.flushed_step for owner in owners] == [2, 2]
