from dataclasses import replace
from pathlib import Path

from qstar_pl.cli.cells import resolved
from qstar_pl.cli.shipped import configuration
from qstar_pl.experiments.matrix import read_experiment
from qstar_pl.experiments.tuning.sweep import Sweep

MAIN = Path(__file__).resolve().parents[3] / "configs" / "experiments" / "main.yaml"


def test_what_a_sweep_takes_its_words_for_is_what_they_resolve_to(lightning: None, isolated: Path) -> None:
    found = read_experiment(MAIN, "tiny", configuration)
    assert found.tune is not None
    found = replace(found, cells=found.cells[-1:])
    (cell,) = found.cells
    sweep = Sweep(found.tune, cell, resolved(found)[cell.name], Path("out"), "1.0")
    for factor in (0.33, 3):
        (run,) = sweep.runs(factor)
        assert run.settings.digest != sweep.settings.digest
        again = resolved(replace(found, cells=[run.cell]))[run.cell.name]
        assert again.changed(run.settings.options) == ""
        assert again.digest == run.settings.digest
    (same,) = sweep.runs(1)
    assert same.settings.digest == sweep.settings.digest
