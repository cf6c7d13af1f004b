from pathlib import Path

import pytest

from qstar_pl.errors import UserError
from qstar_pl.run_folders.find import matches, name_of, runs_at, runs_below


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three runs, and what looks like one: a user's own folder, a checkpoint, an empty number."""
    for name in ("dpo/version_0", "dpo/version_1", "study/q/version_0"):
        (tmp_path / "runs" / name / "checkpoints" / "last.ckpt").mkdir(parents=True)
        (tmp_path / "runs" / name / "metrics.csv").write_text("step\n")
    (tmp_path / "runs" / "dpo" / "version_1" / "checkpoints" / "metrics.csv").write_text("not a run's\n")
    (tmp_path / "runs" / "dpo" / "version_2").mkdir()
    (tmp_path / "runs" / "configs").mkdir()
    (tmp_path / "runs" / "configs" / "config.yaml").write_text("a: 1\n")
    return tmp_path / "runs"


def names(root: Path, *words: str) -> list[str]:
    return [name_of(folder, root) for folder in runs_at(words, root).folders]


def test_runs_and_nothing_else(root: Path) -> None:
    found = runs_below(root)
    assert [name_of(folder, root) for folder in found.folders] == [
        "dpo/version_0",
        "dpo/version_1",
        "study/q/version_0",
    ]
    assert found.notices == []


def test_a_run_that_has_logged_nothing_yet_is_one(root: Path) -> None:
    (root / "dpo" / "version_2" / ".lock").write_text("")
    assert "dpo/version_2" in names(root, "dpo")


def test_a_folder_that_may_not_be_read_is_a_notice(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whoever runs the tests may be root, to whom no folder is closed.
    import os

    scandir = os.scandir

    def closed(path: str) -> object:
        if Path(path).name == "study":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    found = runs_below(root)
    assert len(found.folders) == 2
    assert found.notices == [f"{root / 'study'} is left out: Permission denied"]


def test_words_name_runs_in_every_way(root: Path) -> None:
    both = ["dpo/version_0", "dpo/version_1"]
    assert names(root, "dpo") == names(root, "d*") == names(root, str(root / "dpo")) == both
    assert names(root, "dpo/version_1") == names(root, f"{root}/dpo/version_1/metrics.csv") == both[1:]
    assert names(root, f"{root}/*/version_1/metrics.csv") == both[1:]
    assert names(root, "q") == names(root, "study") == ["study/q/version_0"]
    assert names(root, "dpo/version_1", "dpo") == both[::-1]  # each once


def test_a_folder_of_other_things_does_not_hide_a_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root.parent / "dpo").mkdir()
    monkeypatch.chdir(root.parent)
    assert names(Path("runs"), "dpo") == ["dpo/version_0", "dpo/version_1"]


def test_a_wildcard_that_is_none_names_nothing(root: Path) -> None:
    with pytest.raises(UserError, match=r"^a run must be a folder, or the name of runs below .*, got \*\*dpox"):
        names(root, "**dpox")


def test_mistakes_name_the_nearest(root: Path) -> None:
    with pytest.raises(UserError, match=r"got dop; did you mean dpo\?"):
        names(root, "dop")
    with pytest.raises(UserError, match=r"got zzz; there are dpo, study/q$"):
        names(root, "zzz")
    with pytest.raises(UserError, match=r"a run must be a folder with metrics.csv .* got .*configs"):
        names(root, str(root / "configs"))


def test_a_wildcard_is_for_any_part_of_a_name(root: Path) -> None:
    folder = root / "study" / "q" / "version_0"
    assert all(matches(folder, root, one) for one in ("study", "q", "study/q", "q/version_0", "stu*"))
    assert not any(matches(folder, root, one) for one in ("dpo", "version_1", "study/version_0"))
