"""The report's files."""

import re
from pathlib import Path

import pytest
from results_folder import PPO, Q_STAR, results_folder

from qstar_pl.experiments.report import report
from qstar_pl.experiments.report.page import without_times
from qstar_pl.experiments.report.reading import read_results
from qstar_pl.experiments.report.report import write_report


def test_the_same_results_give_the_same_bytes_and_older_figures_go(tmp_path: Path) -> None:
    results = read_results(results_folder(tmp_path / "in", {"ppo": PPO, "q_star": Q_STAR}, (0, 1)))
    page = write_report([results], tmp_path / "out")
    figures = {file.name: file.read_bytes() for file in (tmp_path / "out" / "figures").iterdir()}
    assert {"score_samples.svg", "score_samples.png", "alpha_histogram.svg", "time_pareto.png"} < figures.keys()
    text = page.read_text()
    assert text.count("<figure") == len(figures) / 2
    assert "time_pareto" not in without_times(text)
    assert '<p class="lead">Of 2 cells q_star has the highest mean val/reward_gold' in text
    assert text.count('class="claim"') == 13  # five hypotheses, five criteria, three checks
    assert "criterion 5" in text
    assert "criterion 5" not in without_times(text)
    assert "q_star" in (tmp_path / "out" / "tables.md").read_text()
    assert "toprule" in (tmp_path / "out" / "tables.tex").read_text()
    (tmp_path / "out" / "figures" / "older.png").touch()
    assert write_report([results], tmp_path / "out").read_text() == text
    assert {file.name: file.read_bytes() for file in (tmp_path / "out" / "figures").iterdir()} == figures


def test_several_experiments_have_figures_of_their_own(tmp_path: Path) -> None:
    one, other = (
        read_results(results_folder(tmp_path / name, {"ppo": PPO}, (0,), name=name)) for name in ("one", "other")
    )
    text = write_report([one, other, one], tmp_path / "out").read_text()
    folders = sorted(file.name for file in (tmp_path / "out" / "figures").iterdir())
    assert folders == ["one_tiny", "one_tiny-2", "other_tiny"]
    assert all(f'id="{key}-figures"' in text for key in folders)
    assert 'id="verdicts"' not in text  # neither holds a q* that anything could be said of


def test_a_page_on_many_experiments_has_their_main_figures_and_names_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "FEW", 1)
    names = ("a", "b")
    several = [read_results(results_folder(tmp_path / one, {"ppo": PPO}, (0,), name=one)) for one in names]
    text = write_report(several, tmp_path / "out").read_text()
    for name in names:
        assert f'id="figure-{name}_tiny-score_samples"' in text
        assert f'id="figure-{name}_tiny-score_tokens"' not in text
        assert f'<a href="figures/{name}_tiny/score_tokens.svg">Score over trained tokens</a>' in text
    links = re.findall(r'href="(figures/[^"]*)"', text)
    assert [one for one in links if not (tmp_path / "out" / one).is_file()] == []
    assert "figures/a_tiny/time_score.svg" not in without_times(text)
