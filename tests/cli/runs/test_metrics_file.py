"""metrics.csv, whatever happens while it is written."""

import csv
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.loggers import CSVLogger

from qstar_pl.cli.runs.metrics_file import MetricsFile, count_rows, keep_rows
from qstar_pl.errors import UserError


def written(folder: Path, *rows: dict[str, Any]) -> MetricsFile:
    file = MetricsFile(str(folder))
    for step, row in enumerate(rows):
        file.log_metrics(row, step)
    file.save()
    return file


def read(file: MetricsFile) -> list[dict[str, str]]:
    with file.path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_nothing_is_touched_before_something_is_logged(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path / "runs", name="mine")
    keep_rows(logger)
    logger.save()
    assert not list(tmp_path.iterdir())
    logger.log_hyperparams({"a": 1})
    logger.log_metrics({"a": 1.0}, 3)
    logger.finalize("success")
    folder = tmp_path / "runs" / "mine" / "version_0"
    assert (folder / "metrics.csv").read_text().splitlines() == ["a,step", "1.0,3"]
    assert (folder / "hparams.yaml").exists()


def test_a_second_writer_goes_on_and_a_cut_line_goes(tmp_path: Path) -> None:
    first = written(tmp_path, {"a": 1.0}, {"a": 2.0})
    with first.path.open("a") as file:
        file.write("3.0")  # what a kill has left of a row
    again = MetricsFile(str(tmp_path))
    assert (again.rows, count_rows(again.path)) == (2, 2)
    again.log_metrics({"a": 3.0}, 2)
    again.save()
    assert [row["a"] for row in read(again)] == ["1.0", "2.0", "3.0"]
    assert again.rows == 3


def test_a_new_column_replaces_the_file_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, {"a": 1.0})
    before = file.path.read_bytes()
    seen = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append(target.read_bytes())
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    file.log_metrics({"b": "x,\ny"}, 1)
    file.save()
    assert seen == [before], "until the new one is whole, the old one is there"
    assert read(file) == [{"a": "1.0", "b": "", "step": "0"}, {"a": "", "b": "x,\ny", "step": "1"}]
    assert file.rows == MetricsFile(str(tmp_path)).rows == 2


@pytest.mark.parametrize("count", [0, 1, 2, 3, 9, None])
def test_the_first_rows_are_left_byte_for_byte(tmp_path: Path, count: int | None) -> None:
    file = written(tmp_path, {"a": "1"}, {"a": 'two "lines"\nof one cell'}, {"a": "ä"})
    whole = file.path.read_bytes()
    again = MetricsFile(str(tmp_path))
    again.cut(count)
    kept = 3 if count is None else min(count, 3)
    assert (again.rows, len(read(again))) == (kept, kept)
    assert whole.startswith(again.path.read_bytes())
    again.log_metrics({"a": "new"}, 9)
    again.save()
    assert [row["step"] for row in read(again)] == [*map(str, range(kept)), "9"]


def test_a_full_disk_leaves_no_half_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, {"a": 1.0})
    file.log_metrics({"a": 2.0}, 1)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            file.save()
    assert len(read(file)) == 1
    file.save()
    assert [row["a"] for row in read(file)] == ["1.0", "2.0"], "logged once, when there is room"


def test_what_is_there_only_as_a_cut_header_is_no_row(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("a,st")
    file = written(tmp_path, {"a": 1.0})
    assert [row["a"] for row in read(file)] == ["1.0"]


def test_a_run_that_lost_its_folder_adds_no_row(tmp_path: Path) -> None:
    file = written(tmp_path, {"a": 1.0, "step": 0})

    def taken() -> None:
        raise UserError("another run")

    file.before_writing = taken
    file.log_metrics({"a": 2.0}, 1)
    with pytest.raises(UserError, match="another run"):
        file.save()
    file.save()  # as Lightning does when a run fails
    assert count_rows(file.path) == 1
