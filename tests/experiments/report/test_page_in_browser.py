"""The page as a reader sees it: in headless Chromium, on a screen and on a phone, light and dark."""

from dataclasses import replace
from pathlib import Path

import pytest
from browser import chromium, look
from results_folder import OFF_POLICY, PPO, Q_STAR, results_folder

from qstar_pl.experiments.report.reading import read_results
from qstar_pl.experiments.report.report import write_report

pytestmark = pytest.mark.skipif(chromium() is None, reason="no chromium is installed")
COVERED = {"ess/policy": 0.8, "ess/target": 0.9, "alpha/std": 0.1, "weights/ess_fraction": 0.7}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    cells = {
        "on_policy": PPO,
        "a_cell_with_a_long_name-mean_normalised-sequence": OFF_POLICY,
        "q_star": replace(Q_STAR, constant={**Q_STAR.constant, **COVERED}),
    }
    return write_report([read_results(results_folder(folder / "in", cells, (0, 1)))], folder / "out")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_nothing_is_cut_off_fetched_or_complained_of(page: Path, width: int, dark: bool) -> None:
    seen = look(page, width, dark=dark)
    found = seen.measured
    assert (seen.console, found["requests"], found["outside"]) == ([], [], [])
    assert found["width"] == width
    assert found["scroll"] <= width
    assert found["paper"] == ("rgb(21, 23, 27)" if dark else "rgb(255, 255, 255)")
    drawn = {file.stem for file in (page.parent / "figures").glob("*.svg")}
    assert {one["name"].removeprefix("figure-made_tiny-") for one in found["figures"]} == drawn
    assert {one["name"]: one["cut"] for one in found["figures"] if one["cut"]} == {}
    assert min(one["smallest"] for one in found["figures"]) >= 8.0  # px
