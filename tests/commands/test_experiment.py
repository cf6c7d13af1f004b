import io
import json
from pathlib import Path

import pytest

from qstar_pl.commands import experiment
from qstar_pl.commands.experiment import Progress, main, print_comparison
from qstar_pl.console import SpellingConsole
from qstar_pl.errors import UserError
from qstar_pl.experiments.kept import Planned
from qstar_pl.experiments.seeds import SeedResult

BUDGET = {"samples/total": [(1, 32.0), (2, 64.0)], "tokens/total": [(2, 900.0)], "time/wall_s": [(2, 5.0)]}


def result(seed: int, before: float = 0.5, after: float = 0.7, seconds: float = 60.0) -> SeedResult:
    first, second = ({"val/reward_gold": value, "val/kl_policy_reference": 1.5} for value in (before, after))
    return SeedResult(seed, first, second, BUDGET, seconds)


@pytest.fixture
def configs(isolated: Path) -> list[str]:
    for name in ("one", "two"):
        Path(f"{name}.yaml").write_text(f"name: {name}\n")
    return ["--config=one.yaml", "--config=two.yaml", "--seeds=2"]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was run, by a stand-in for training."""
    ran = list[str]()

    def run(planned: Planned) -> SeedResult:
        ran.append(f"{planned.name} {planned.seed}")
        if "--fail" in planned.overrides and (planned.name, planned.seed) == ("one", 1):
            raise UserError("lr must be positive")
        if "--typo" in planned.overrides and planned.name == "one":
            raise SystemExit(2)
        if "--stop" in planned.overrides and planned.name == "two":
            raise KeyboardInterrupt
        return result(planned.seed)

    monkeypatch.setattr(experiment, "runner", lambda: run)
    return ran


def test_tables_fit_a_terminal_and_show_gains_costs_and_the_seeds_that_fell() -> None:
    text = io.StringIO()
    results = {"tiny_rejection_sampling": [result(0), result(1, after=0.4)], "two": [result(0, after=0.9)]}
    print_comparison(results, SpellingConsole(file=text, width=80))
    lines = text.getvalue().splitlines()
    first, second = (line.split() for line in lines if " gold " in line)
    assert first == ["tiny_rejection_sampling", "gold", "0.500", "0.550", "+0.050", "±", "0.212", "1/2"]
    assert second[-2:] == ["+0.400", "1/1"]
    assert " ".join(lines[-2].split()) == "tiny_rejection_sampling 1.50 ± 0.00 64 ± 0 900 ± 0 5 ± 0"


def test_runs_are_counted_and_what_is_left_is_estimated() -> None:
    planned = [Planned(Path(f"{name}.yaml"), seed, Path(name), ()) for name in ("a", "b") for seed in (0, 1)]
    progress = Progress(planned)
    assert progress.heading(0) == "run 1 of 4 (a, seed 0)"
    progress.ended[planned[0]] = result(0, seconds=60)
    progress.ended[planned[3]] = result(1, seconds=180)  # of an earlier start
    assert progress.heading(1) == "run 2 of 4 (a, seed 1), about 4 min left"


def test_started_again_it_goes_on(configs: list[str], runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        main([*configs, "--stop"])
    assert runs == ["one 0", "one 1", "two 0"]
    assert "stopped with 2 of 4 runs finished; the same command goes on with the others" in capsys.readouterr().err
    assert set(json.loads(Path("runs/experiment/results.json").read_text())) == {"one"}
    runs.clear()
    assert main(configs) == 0
    assert len(runs) == 4  # other words are other runs
    runs.clear()
    assert main(configs) == 0
    assert runs == []
    assert "4 of 4 runs have finished before and are not repeated" in capsys.readouterr().out
    Path("two.yaml").write_text("name: changed\n")
    assert main(configs) == 0
    assert runs == ["two 0", "two 1"]


def test_a_run_that_fails_does_not_take_the_others_along(
    configs: list[str], runs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*configs, "--fail"]) == 1
    assert runs == ["one 0", "one 1", "two 0", "two 1"]
    printed = capsys.readouterr()
    assert printed.err.splitlines() == ["error: lr must be positive", "failed: one, seed 1: lr must be positive"]
    assert {
        name: len(seeds) for name, seeds in json.loads(Path("runs/experiment/results.json").read_text()).items()
    } == {
        "one": 1,
        "two": 2,
    }
    for name in ("results.csv", "results.md", "experiment.png"):
        assert f"runs/experiment/{name}" in printed.out
        assert Path("runs/experiment", name).stat().st_size > 0


def test_what_is_wrong_with_a_configuration_is_found_once(configs: list[str], runs: list[str], capsys) -> None:
    assert main([*configs, "--typo"]) == 1
    assert runs == ["one 0", "two 0", "two 1"]
    assert "failed: one, seed 0: not a valid configuration" in capsys.readouterr().err


def test_a_configuration_that_is_edited_while_it_runs_is_run_again(
    configs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []

    def run(planned: Planned) -> SeedResult:
        ran.append(f"{planned.name} {planned.seed}")
        planned.config.write_text("name: edited\n")
        return result(planned.seed)

    monkeypatch.setattr(experiment, "runner", lambda: run)
    assert main(configs) == 0
    assert len(ran) == 4
    ran.clear()
    assert main(configs) == 0
    assert ran == ["one 0", "two 0"], "the second seeds ran with the edited files"


def test_names_must_differ(configs: list[str]) -> None:
    Path("more").mkdir()
    Path("more/one.yaml").write_text("")
    with pytest.raises(UserError, match=r"files of different names, .* got one twice"):
        main([*configs, "--config=more/one.yaml"])


def test_the_command_runs_configurations_under_the_same_seeds(qstar, repository, tmp_path) -> None:
    configs = [f"--config={repository}/configs/experiment/{name}.yaml" for name in ("tiny_sft", "tiny_dpo")]
    options = ["--trainer.max_steps=1", "--trainer.val_check_interval=1", "--data.val_limit=4", "--seeds=1"]
    code, out, err = qstar("experiment", *configs, *options, f"--output={tmp_path}")
    assert code == 0, err
    assert "run 2 of 2 (tiny_dpo, seed 0), about " in out
    kept = json.loads((tmp_path / "results.json").read_text())
    assert set(kept) == {"tiny_sft", "tiny_dpo"}
    assert kept["tiny_dpo"][0]["seed"] == 0
    shown = {tuple(line.split(",")[:3]) for line in (tmp_path / "results.csv").read_text().splitlines()[1:]}
    rewards = {(name, "0", f"val/reward_{kind}") for name in kept for kind in ("gold", "proxy")}
    assert shown == {*rewards, ("tiny_dpo", "0", "val/preference_accuracy")}
