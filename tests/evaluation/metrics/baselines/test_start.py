"""The policy's own start as the baseline: only where it stays the start."""

import pytest

from qstar_pl.evaluation.metrics import Facts
from qstar_pl.evaluation.metrics.baselines import Start


@pytest.mark.parametrize(
    ("facts", "got"),
    [
        (Facts(), None),
        (Facts(moved_by="LaggedReference"), "got LaggedReference, which moves it"),
        (Facts(tokens=False), "got "),
    ],
    ids=["a frozen start", "a lagged one", "answers of a file"],
)
def test_it_must_be_there_and_stay(facts: Facts, got: str | None) -> None:
    said = Start().missing(facts)
    assert said is None if got is None else got in str(said)


def test_a_run_whose_reference_lags_says_so_at_its_start(qstar) -> None:
    words = ["--model.metrics+=WinRate", "--model.metrics.judge=GoldJudge", "--model.metrics.baseline=Start"]
    lagged = ["--trainer.callbacks+=LaggedReference", "--trainer.fast_dev_run=1", "--trainer.accelerator=cpu"]
    code, _, err = qstar("fit", *words, *lagged)
    assert code == 2
    assert "the policy's start to compare with, got LaggedReference, which moves it" in err
