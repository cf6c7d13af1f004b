from pathlib import Path

import pytest

from qstar_pl.errors import UserError
from qstar_pl.experiments.curves import LoggedRun, Look, missing, save_curves
from qstar_pl.run_folders.metrics import Metrics


def logged(name: str, seed: int, **values: list[float]) -> LoggedRun:
    keys = {key.replace("__", "/"): column for key, column in values.items()}
    count = max(map(len, keys.values()))
    rows = [{"step": step, **{key: column[step] for key, column in keys.items()}} for step in range(count)]
    return LoggedRun(f"{name}/seed_{seed}", name, seed, Metrics(("step", *keys), tuple(rows)))


@pytest.fixture
def runs() -> list[LoggedRun]:
    nan, dpo = float("nan"), logged("dpo", 0, loss__total=[1, 2, 3])
    q = [logged("q", seed, ess__ratio=[1, 2, 4 + seed], loss__total=[1, nan, 3]) for seed in range(2)]
    return [dpo, *q]


def texts(file: Path) -> list[str]:
    """What a figure says: matplotlib writes every text as a comment beside its outlines."""
    return [line.strip()[5:-4] for line in file.read_text().splitlines() if line.strip().startswith("<!-- ")]


def test_each_run_has_a_line_and_what_is_not_drawn_is_counted(runs: list[LoggedRun], tmp_path: Path) -> None:
    save_curves(runs, ["loss/total", "ess/ratio"], tmp_path / "a.svg", Look(smooth=2))
    said = texts(tmp_path / "a.svg")
    assert {"3 runs", "dpo/seed_0", "q/seed_0", "q/seed_1", "optimizer step", "loss/total", "ess/ratio"} <= set(said)
    of_losses = "; ".join(f"q/seed_{seed}: 1 of 3 points NaN or infinite" for seed in range(2))
    assert f"mean of each value and the 1 logged before it; pale: as logged; {of_losses}" in " ".join(said)
    assert "mean of each value and the 1 logged before it; pale: as logged; means of logarithms" in said


def test_a_band_is_explained(runs: list[LoggedRun], tmp_path: Path) -> None:
    save_curves(runs, ["ess/ratio"], tmp_path / "a.svg", Look(band=True))
    said = texts(tmp_path / "a.svg")
    assert "q, 2 seeds" in said
    assert "dpo" not in said
    assert "2 runs: mean over seeds; band: ± 1 standard deviation (n − 1)" in said


def test_only_runs_that_are_drawn_are_counted(runs: list[LoggedRun], tmp_path: Path) -> None:
    save_curves(runs, ["ess/ratio"], tmp_path / "a.svg")
    said = texts(tmp_path / "a.svg")
    assert "2 runs" in said
    assert "dpo/seed_0" not in said


def test_of_many_metrics_a_refusal_names_the_nearest() -> None:
    many = [logged("a", 0, **{f"loss__m{number}": [1.0] for number in range(30)})]
    with pytest.raises(
        UserError, match=r"did you mean loss/m7\? .* … and 20 more: qstar runs --json has all\)$"
    ) as told:
        missing(many, ["loss/mm7"])
    assert str(told.value).count("loss/m") == 12


def test_what_no_run_has_is_a_mistake(runs: list[LoggedRun]) -> None:
    assert missing(runs, ["ess/ratio", "loss/total"]) == [(runs[0], "ess/ratio")]
    with pytest.raises(UserError, match=r"got loss/totl; did you mean loss/total\? \(logged: ess/ratio, loss/total\)"):
        missing(runs, ["loss/total", "loss/totl"])
    without_steps = [LoggedRun("a", "a", None, Metrics(("loss",), ({"loss": 1.0},)))]
    with pytest.raises(UserError, match="x must be logged in the same rows or at the same steps as loss, got step"):
        missing(without_steps, ["loss"])
    nothing = [LoggedRun("a", "a", None, Metrics((), ()))]
    with pytest.raises(UserError, match=r"got loss/total \(nothing is logged yet\)"):
        missing(nothing, ["loss/total"])
