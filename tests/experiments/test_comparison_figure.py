from dataclasses import replace
from math import inf, nan
from pathlib import Path

from seed_results import result

from qstar_pl.experiments.comparison_figure import save_comparison


def test_a_row_per_configuration_and_what_divergence_bought(tmp_path: Path) -> None:
    results = {"first": [result(0, 0.4, 0.6), result(1, 0.4, 0.5)], "$second_": [result(0, 0.4, 0.7)]}
    assert save_comparison(results, tmp_path / "a.svg")
    drawn = (tmp_path / "a.svg").read_text()
    for text in ("first", "first, after", "before training", "gold reward per answer", "proxy reward per answer"):
        assert f"<!-- {text} -->" in drawn
    assert "held-out, 2 seeds" in drawn
    assert "preference accuracy" not in drawn


def test_what_is_not_finite_is_counted_and_the_rest_drawn(tmp_path: Path) -> None:
    broken = result(1, nan, 0.5)
    diverged = replace(broken, after={**broken.after, "val/kl_policy_reference": inf})
    assert save_comparison({"a": [result(0, 0.4, 0.6), diverged], "b": [broken]}, tmp_path / "a.svg")
    drawn = (tmp_path / "a.svg").read_text()
    for text in ("a: 1 NaN or infinite; b: 1 NaN or", "a: 1 of 2 points NaN or infinite", "mean before training"):
        assert f"<!-- {text}" in drawn


def test_nothing_to_draw(tmp_path: Path) -> None:
    silent = replace(result(0, 0, 0), before={}, after={})
    assert not save_comparison({"a": [silent]}, tmp_path / "a.svg")
    assert not list(tmp_path.iterdir())
