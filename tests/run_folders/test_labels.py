from pathlib import Path

import pytest

from qstar_pl.run_folders.labels import groups, labels

EXPERIMENT = [f"/w/runs/experiment/{name}/seed_{seed}/{name}/version_0" for name in ("dpo", "q") for seed in (0, 1)]


@pytest.mark.parametrize(
    ("places", "seeds", "wanted", "grouped"),
    [
        (["/w/runs/dpo/version_3"], [0], ["dpo"], ["dpo"]),
        (["/w/runs/dpo/version_0", "/w/runs/q/version_1"], [0, 0], ["dpo", "q"], ["dpo", "q"]),
        (
            ["/w/runs/dpo/version_0", "/w/runs/dpo/version_1"],
            [0, 5],
            ["dpo/version_0, seed 0", "dpo/version_1, seed 5"],
            ["dpo", "dpo"],
        ),
        (["/w/runs/dpo/version_0", "/w/runs/dpo/version_1"], [0, 0], ["dpo/version_0", "dpo/version_1"], ["dpo"] * 2),
        (EXPERIMENT, [0, 1, 0, 1], ["dpo/seed_0", "dpo/seed_1", "q/seed_0", "q/seed_1"], ["dpo", "dpo", "q", "q"]),
        (
            ["/a/runs/dpo/version_0", "/b/runs/dpo/version_0"],
            [None, 1],
            ["a/runs/dpo", "b/runs/dpo"],
            ["a/runs/dpo", "b/runs/dpo"],
        ),
        (["/w/a", "/w/b/c"], [None, None], ["w/a", "w/b/c"], ["w/a", "w/b/c"]),
    ],
    ids=["one", "names", "seeds", "versions", "experiment", "roots", "foreign"],
)
def test_runs_are_told_apart(places: list[str], seeds: list[int | None], wanted: list[str], grouped: list[str]) -> None:
    folders = [Path(place) for place in places]
    assert labels(folders, seeds) == wanted
    assert groups(folders) == grouped
