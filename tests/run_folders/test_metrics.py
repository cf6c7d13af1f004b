from pathlib import Path

import pytest

from qstar_pl.errors import UserError
from qstar_pl.run_folders import metrics
from qstar_pl.run_folders.metrics import read_metrics, read_tail


def written(folder: Path, text: str) -> Path:
    (folder / "metrics.csv").write_text(text)
    return folder / "metrics.csv"


def test_whole_rows_of_a_file_that_is_being_written(tmp_path: Path) -> None:
    file = written(tmp_path, "epoch,loss,step,val/a\n0,0.5,1,\n0,,2,7\n0,0.4,3,\n0,0.39")
    found = read_metrics(file)
    assert found.rows == (
        {"epoch": 0, "loss": 0.5, "step": 1},
        {"epoch": 0, "step": 2, "val/a": 7},
        {"epoch": 0, "loss": 0.4, "step": 3},
    )
    assert found.last() == {"loss": 0.4, "val/a": 7}
    assert found.step() == 3
    assert read_tail(file) == found


def test_of_a_long_file_only_the_end_is_read_and_more_for_what_is_wanted(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(metrics, "BLOCK", 100)
    file = written(tmp_path, "loss,rare,step\n" + "".join(f"{i},{i if i == 50 else ''},{i}\n" for i in range(1000)))
    tail = read_tail(file)
    assert tail.last() == {"loss": 999}
    assert len(tail.rows) < 20
    monkeypatch.setattr(metrics, "LONGEST_TAIL", 5000)
    assert "rare" not in read_tail(file, ["rare"]).last()
    monkeypatch.setattr(metrics, "LONGEST_TAIL", 100_000)
    assert read_tail(file, ["rare", "unheard of"]).last() == {"loss": 999, "rare": 50}


@pytest.mark.parametrize("text", ["", "step,loss", "step,loss\n", "\n\n", "step,loss\n1,nan"])
def test_a_file_without_rows(text: str, tmp_path: Path) -> None:
    found = read_tail(written(tmp_path, text))
    assert (found.rows, found.step(), found.last()) == ((), None, {})


def test_foreign_cells_are_left_out(tmp_path: Path) -> None:
    assert read_tail(written(tmp_path, "a,step\nx,nan\n1,2,3\n2\n")).last() == {"a": 2}


def test_a_file_that_cannot_be_read_is_one_message(tmp_path: Path) -> None:
    for read in (read_metrics, read_tail):
        with pytest.raises(UserError, match="must be readable: Is a directory"):
            read(tmp_path)
