"""`qstar experiment` as a user meets it; `qstar fit` is a stand-in wherever what it finds does not matter."""

import argparse
import json
from pathlib import Path

import pytest
from small_experiment import TEMPLATE

from qstar_pl.cli.cells import resolved
from qstar_pl.cli.shipped import configuration
from qstar_pl.commands.experiment import EXPERIMENTS, seeds
from qstar_pl.errors import UserError
from qstar_pl.experiments.matrix import check_cells, read_experiment, variants_of

NAMES = sorted(file.stem for file in EXPERIMENTS.glob("*.yaml"))
MINE = """\
title: Mine
question: Why?
tiny:
  methods:
    one: experiment/tiny_sft
    two: experiment/tiny_dpo
  seeds: 2
  budget: {samples: 3200}
"""


def test_without_a_name_it_lists_what_there_is(qstar) -> None:
    code, out, _ = qstar("experiment")
    assert code == 0
    assert [name for name in NAMES if f"\n{name}: " not in f"\n{out}"] == []
    assert not Path("runs").exists()


@pytest.mark.parametrize("words", [(), ("mvp", "--dry_run"), ("mvp", "--rehearse"), ("no_such_experiment",)])
@pytest.mark.parametrize("template", ["nice", "nice '{command}"])
def test_a_wrong_launcher_is_found_before_anything_else(qstar, words: tuple[str, ...], template: str) -> None:
    code, out, err = qstar("experiment", *words, "--launcher", template)
    assert code == 2
    assert not out
    assert err.startswith("error: launcher must be ")


def test_a_rehearsal_runs_one_batch_of_every_cell_and_names_what_fails(qstar) -> None:
    clipped = "    two: {config: experiment/tiny_ppo, options: {trainer.gradient_clip_val: 1.0}}"
    Path("mine.yaml").write_text(MINE.replace("    two: experiment/tiny_dpo", clipped))
    code, out, _ = qstar("experiment", "mine.yaml", "--rehearse")
    assert code == 1
    ran, failed = out.splitlines()
    assert ran == "  one: ran"
    assert failed.startswith("  two: mine.yaml:6: cell two: trainer.gradient_clip_val must be null for PPO")
    assert not Path("runs").exists()


def test_an_experiment_from_start_to_results(qstar, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("mine.yaml").write_text(MINE)
    code, out, _ = qstar("experiment", "mine.yaml", "--dry_run")
    assert code == 0
    assert "qstar fit --config=experiment/tiny_dpo --trainer.callbacks+=ValidateFirst --seed_everything=1" in out
    assert not Path("runs").exists()
    words = ("experiment", "mine.yaml", "--jobs=2", "--launcher", TEMPLATE, "--output=out")
    code, out, err = qstar(*words)
    assert code == 1  # the stand-in takes 48 samples
    assert "off budget: one, seed 0: it ended at 48 samples, its budget is 3,200" in err
    for name in ("results.json", "curves.parquet", "times.parquet", "report/index.html", "report/tables.md"):
        assert Path("out", name).stat().st_size > 0
    monkeypatch.setattr("qstar_pl.experiments.report.report.write_report", lambda *_: "the same report")  # in seconds
    assert "4 of 4 runs have finished and are not repeated" in qstar(*words)[1]
    assert "4 runs taken over from out" in qstar(*words[:-1], "--output=again")[1]
    assert qstar(*words[:-1], "--output=last", "--no_reuse", "--dry_run")[1].count("(new)") == 4
    Path("mine.yaml").write_text(MINE.replace("3200", "32") + "  options: {trainer.max_steps: 1}\n")
    assert "trainer.max_steps 100 → 1" in qstar(*words, "--dry_run")[1]


def test_a_sweep_and_what_won_are_in_one_results_file(qstar) -> None:
    sweep = "  tune: {option: model.optimizer.lr, factors: [1, 3], seeds: [9]}\n"
    one = MINE.replace("    two: experiment/tiny_dpo\n", "") + sweep
    Path("mine.yaml").write_text(one)
    words = ("experiment", "mine.yaml", "--seeds=1", "--launcher", TEMPLATE, "--output=out")
    code, out, _ = qstar(*words)
    assert code == 1  # the stand-in takes 48 samples, so no run of the sweep has a score
    assert "tuning: model.optimizer.lr × 1, 3 of every cell with seed 9 = 2 runs, then every cell again" in out
    assert "one: model.optimizer.lr stays 0." in out
    assert "(×1 none, ×3 none; no value has a score, so it stays (seed 9: it ended at 48 samples" in out
    assert "1 run taken over from out" in out
    found = json.loads(Path("out/results.json").read_text())
    assert [run["cell"] for run in found["runs"]] == ["one", "one-tuned"]
    assert qstar(*words, "--no_tune", "--dry_run")[1].count("qstar fit") == 1
    assert "seeds must be others than the sweep's of" in qstar(*words[:2], "--seeds=8,9")[2]


def test_a_score_that_no_cell_measures_is_found_before_anything_runs(qstar) -> None:
    Path("mine.yaml").write_text(MINE + "  evaluation: {score: val/reward_goold}\n")
    code, _, err = qstar("experiment", "mine.yaml", "--launcher", TEMPLATE)
    assert code == 2
    assert "mine.yaml:5: cell one: evaluation.score must be measured, got val/reward_goold (measured: val/" in err
    assert not Path("runs").exists()


def test_configurations_by_hand_are_ordinary_runs(qstar) -> None:
    options = ["--trainer.max_steps=1", "--trainer.val_check_interval=1", "--data.val_limit=4", "--seeds=1"]
    code, out, err = qstar("experiment", "--config=experiment/tiny_sft", *options, "--output=out")
    assert code == 0, err
    assert "run 1 of 1 (tiny_sft, seed 0)" in out
    (run,) = json.loads(Path("out/results.json").read_text())["runs"]
    assert run["after"].keys() == run["before"].keys()
    assert run["before"]["val/reward_gold"] != run["after"]["val/reward_gold"]
    table = Path("out/report/tables.md").read_text()
    assert "Score: val/reward_gold" in table
    assert "| reward_proxy |" in table


def test_an_unknown_option_is_found_in_its_line(isolated: Path, lightning: None) -> None:
    Path("mine.yaml").write_text(MINE + "  options: {trainer.max_stepz: 1}\n")
    with pytest.raises(UserError, match=r"^mine.yaml:9: cell one: .*max_stepz"):
        resolved(read_experiment(Path("mine.yaml"), "tiny", configuration))


def test_what_a_class_refuses_is_found_before_anything_runs(isolated: Path, lightning: None) -> None:
    Path("mine.yaml").write_text(MINE.replace("tiny_sft", "tiny_q_star") + "  options: {model.samples_per_prompt: 0}\n")
    with pytest.raises(UserError, match=r"^mine.yaml:9: cell one: .*samples_per_prompt must be at least 1, got 0"):
        resolved(read_experiment(Path("mine.yaml"), "tiny", configuration))


QUICK = ("ledpo_activation", "mvp", "speculative", "weights")
"""Of all kinds of options; the others run where there is more time."""


@pytest.mark.parametrize("name", [pytest.param(one, marks=() if one in QUICK else pytest.mark.slow) for one in NAMES])
def test_the_first_cell_of_each_runs_one_batch_of_everything(name: str, qstar) -> None:
    found = read_experiment(EXPERIMENTS / f"{name}.yaml", "tiny", configuration)
    first = found.cells[0]
    fast = ("--config=debug/fast_dev_run", "--data.val_limit=4", "--data.test_limit=4", "--data.max_rows=64")
    words = [word for word in first.words if "size" not in word]  # of data and batches
    code, _, err = qstar("fit", *words, *fast, "--data.batch_size=2")
    assert code == 0, err


@pytest.mark.slow  # 0.5 s for each of some 200 cells
@pytest.mark.timeout(900)
@pytest.mark.parametrize("variant", ["tiny", "full"])
@pytest.mark.parametrize("name", NAMES)
def test_all_cells_are_valid_and_end_at_the_budget(name: str, variant: str, lightning: None) -> None:
    if variant not in variants_of(EXPERIMENTS / f"{name}.yaml"):
        pytest.skip(f"{name} has no {variant} variant")
    found = read_experiment(EXPERIMENTS / f"{name}.yaml", variant, configuration)
    check_cells(found, resolved(found), found.evaluation.score)


def test_one_seed_is_asked_for_with_a_comma_behind_it() -> None:
    """As the command stands in a report; alone, the number says how many."""
    assert (seeds("5,"), seeds("5,6"), seeds("2")) == ((5,), (5, 6), (0, 1))
    for wrong in (",", "5,,6", "-1,", "", "0", "99999999999999"):
        with pytest.raises(argparse.ArgumentTypeError):
            seeds(wrong)
