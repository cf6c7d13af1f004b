"""What is kept of experiments makes the report that they make."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from results_folder import OFF_POLICY, PPO, Q_STAR, as_stage, results_folder

from qstar_pl.errors import UserError
from qstar_pl.experiments.report.kept import keep
from qstar_pl.experiments.report.reading import Results, read_results, read_several
from qstar_pl.experiments.report.report import write_report

CELLS = {
    "ppo": PPO,
    "q_star": replace(
        Q_STAR,
        constant={
            **Q_STAR.constant,
            "ess/policy": 0.6,
            "ess/target": 0.5,
            "alpha/std": 0.1,
            "grad/snr": 0.3,
            "weights/ess_fraction": 0.7,
            "loss/entropy": 1.2,
        },
    ),
    "off_policy": OFF_POLICY,
    "broken": replace(PPO, status="failed"),
}


def files(folder: Path) -> Mapping[str, bytes]:
    """Return name → content of all files below a folder."""
    return {str(one.relative_to(folder)): one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()}


def report(experiments: list[Results], folder: Path) -> Mapping[str, bytes]:
    write_report(experiments, folder)
    return files(folder)


def test_the_report_is_the_same_byte_for_byte(tmp_path: Path) -> None:
    whole = [read_results(results_folder(tmp_path / "in", CELLS, (0, 1)))]
    assert keep(whole, tmp_path / "data") == [tmp_path / "data" / "made_tiny"]
    assert report(list(read_several(tmp_path / "data")), tmp_path / "kept") == report(whole, tmp_path / "whole")


def test_the_time_of_earlier_stages_is_kept(tmp_path: Path) -> None:
    folder = results_folder(tmp_path / "in", {**CELLS, "sft": replace(PPO, step_s=0.05)}, (0, 1))
    whole = [read_results(as_stage(folder, "sft", "q_star"))]
    keep(whole, tmp_path / "data")
    kept = list(read_several(tmp_path / "data"))
    assert {key for key in kept[0].times if key[0] == "sft"} == {("sft", seed, "time/wall_s") for seed in (0, 1)}
    assert report(kept, tmp_path / "kept") == report(whole, tmp_path / "whole")


def test_keeping_what_is_kept_changes_nothing(tmp_path: Path) -> None:
    place = results_folder(tmp_path / "in", CELLS, (0, 1))
    keep([read_results(place)], tmp_path / "data")
    before = files(tmp_path / "data")
    assert sum(map(len, before.values())) < sum(map(len, files(place).values()))
    kept = read_results(tmp_path / "data" / "made_tiny")
    keep([kept], tmp_path / "data")
    keep([kept], tmp_path / "again")
    assert files(tmp_path / "data") == files(tmp_path / "again") == before


def test_an_experiment_that_ran_on_takes_the_place_of_what_was_kept(tmp_path: Path) -> None:
    for seeds in ((0, 1), (0, 1, 2)):
        keep([read_results(results_folder(tmp_path / "in", CELLS, seeds))], tmp_path / "data")
        assert read_results(tmp_path / "data" / "made_tiny").seeds == seeds


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    several = [read_results(results_folder(tmp_path / where, {"ppo": PPO}, (0,))) for where in "ab"]
    with pytest.raises(UserError, match="runs must differ in name and variant to be kept, got made_tiny twice"):
        keep(several, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_kept_folder_that_was_renamed_is_known_by_what_it_holds(tmp_path: Path) -> None:
    several = [read_results(results_folder(tmp_path / "in", {"ppo": PPO}, (0,)))]
    keep(several, tmp_path / "data")
    (tmp_path / "data" / "made_tiny").rename(tmp_path / "data" / "mine")
    with pytest.raises(UserError, match=r"^output must keep made_tiny once, got it in \S*/data/mine as well"):
        keep(several, tmp_path / "data")
    assert [one.name for one in (tmp_path / "data").iterdir()] == ["mine"]


def test_what_was_not_recorded_is_not_kept(tmp_path: Path) -> None:
    quiet = {"ppo": replace(PPO, replies=False)}
    place = results_folder(tmp_path / "in", quiet, (0,))
    keep([read_results(place)], tmp_path / "data")
    kept = [one.name for one in sorted((tmp_path / "data" / "made_tiny").iterdir())]
    assert kept == ["curves.parquet", "results.json", "times.parquet"]
    assert report([read_results(tmp_path / "data" / "made_tiny")], tmp_path / "kept")
