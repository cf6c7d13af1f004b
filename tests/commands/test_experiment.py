import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from qstar_pl.commands.experiment import objectives, print_comparison, spread
from qstar_pl.errors import UserError
from qstar_pl.experiments.seeds import SeedResult

BUDGET = {"samples/total": [(1, 32.0), (2, 64.0)], "tokens/total": [(2, 900.0)], "time/wall_s": [(2, 5.0)]}


def sampling(seed: int, before: float, after: float) -> SeedResult:
    first, second = ({"val/reward_gold": value, "val/kl_policy_reference": 1.5} for value in (before, after))
    return SeedResult(seed, first, second, {**BUDGET, "reward/gold": [(2, 0.9)]}, 3.0)


def comparing(seed: int, before: float, after: float) -> SeedResult:
    first, second = ({"val/preference_accuracy": value} for value in (before, after))
    return SeedResult(seed, first, second, {**BUDGET, "loss/accuracy": [(2, 0.9)]}, 3.0)


def test_each_method_is_judged_by_what_it_optimizes():
    assert objectives("q", sampling(0, 0.5, 0.6)) == ["reward_gold"]
    with_proxy = replace(sampling(0, 0.5, 0.6), after={"val/reward_gold": 0.6, "val/reward_proxy": 1.0})
    assert objectives("q", with_proxy) == ["reward_proxy", "reward_gold"]
    assert objectives("d", comparing(0, 0.5, 0.6)) == ["preference_accuracy"]
    blind = SeedResult(0, {}, {}, {**BUDGET, "reward/gold": [(2, 0.9)]}, 1.0)
    with pytest.raises(UserError, match="must train a method that reports val/reward_gold, got blind"):
        objectives("blind", blind)


def test_spread_is_the_sample_standard_deviation():
    assert spread([1.0, 2.0, 3.0]) == "2.000 ± 1.000"
    assert spread([1.0]) == "1.000"


def test_table_has_gains_costs_and_the_seeds_that_fell():
    text = io.StringIO()
    results = {"one": [sampling(0, 0.5, 0.7), sampling(1, 0.5, 0.4)], "two": [comparing(0, 0.5, 0.9)]}
    print_comparison(results, Console(file=text, width=170))
    first, second = (line for line in text.getvalue().splitlines() if "reward_gold" in line or "preference" in line)
    assert "0.050 ± 0.212" in first
    assert "1/2" in first
    assert "64 ± 0" in first
    assert "0.400" in second
    assert "1/1" in second


def test_the_command_runs_configurations_under_the_same_seeds(qstar, repository, tmp_path):
    configs = [f"--config={repository}/configs/experiment/{name}.yaml" for name in ("tiny_sft", "tiny_dpo")]
    options = ["--trainer.max_steps=1", "--trainer.val_check_interval=1", "--data.val_limit=4", "--seeds=1"]
    code, out, err = qstar("experiment", *configs, *options, f"--output={tmp_path}")
    assert code == 0, err
    assert "tiny_sft" in out
    assert "tiny_dpo" in out
    kept = json.loads((tmp_path / "results.json").read_text())
    assert set(kept) == {"tiny_sft", "tiny_dpo"}
    assert kept["tiny_dpo"][0]["seed"] == 0
