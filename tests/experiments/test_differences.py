"""Configurations against the first, seed by seed."""

import io

import numpy as np
import pytest
from scipy.stats import ttest_rel
from seed_results import result
from statsmodels.stats.multitest import multipletests

from qstar_pl.console import SpellingConsole
from qstar_pl.experiments.differences import differences, differences_as_markdown
from qstar_pl.experiments.results.summary import print_comparison

FIRST = [0.50, 0.62, 0.41, 0.55]
SECOND = [0.60, 0.74, 0.50, 0.66]
THIRD = [0.52, 0.60, 0.45, 0.52]
RESULTS = {
    name: [result(seed, 0.4, after) for seed, after in enumerate(values)]
    for name, values in (("dpo", FIRST), ("q_star", SECOND), ("ppo", THIRD))
}


def test_differences_are_paired_by_seed_and_corrected_together() -> None:
    found = [one for one in differences(RESULTS) if one.key == "val/reward_gold"]
    tests = [ttest_rel(SECOND, FIRST), ttest_rel(THIRD, FIRST)]
    assert [(one.experiment, one.than) for one in found] == [("q_star", "dpo"), ("ppo", "dpo")]
    assert found[0].estimate.value == pytest.approx(np.mean(SECOND) - np.mean(FIRST))
    interval, expected = found[0].estimate.interval, tests[0].confidence_interval(0.95)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    # The proxy rewards are the same in all seeds: two tests with p = 1 more.
    corrected = multipletests([*(test.pvalue for test in tests), 1.0, 1.0], method="holm")[1]
    assert [one.p_value for one in found] == pytest.approx(corrected[:2])


def test_only_seeds_of_both_count_and_two_are_needed() -> None:
    fewer = {"dpo": RESULTS["dpo"], "q_star": RESULTS["q_star"][2:], "ppo": RESULTS["ppo"][3:], "none": []}
    found = differences(fewer)
    assert {one.experiment for one in found} == {"q_star"}
    assert found[0].estimate.value == pytest.approx(np.mean(SECOND[2:]) - np.mean(FIRST[2:]))
    assert differences({"dpo": RESULTS["dpo"]}) == []
    diverged = {"dpo": RESULTS["dpo"], "q_star": [*RESULTS["q_star"][:2], result(2, 0.4, float("nan"))]}
    assert differences(diverged)[0].estimate.rows == 2


def test_they_are_printed_and_written() -> None:
    lines = differences_as_markdown(differences(RESULTS)).splitlines()
    assert lines[0] == "| experiment | metric | minus dpo | 95% interval | p (Holm) |"
    assert lines[2].startswith("| q_star | gold | +0.105 | +0.0")
    assert "| q_star | proxy | +0.000 | – | 1.000 |" in lines
    assert differences_as_markdown([]) == ""
    out = io.StringIO()
    print_comparison(RESULTS, SpellingConsole(file=out, width=80))
    assert "after training, minus dpo seed by seed" in out.getvalue()
    assert "+0.105" in out.getvalue()
