import errno
import json
import os
from pathlib import Path

import pytest

from qstar_pl.errors import UserError
from qstar_pl.evaluation.judges.llm import cache as module
from qstar_pl.evaluation.judges.llm.cache import Cache, Judgment
from qstar_pl.evaluation.judges.llm.reply import Usage

WON = Judgment(1.0, None, Usage(7, 3))
NONE = Judgment(None, "unparsable: no mark", None)


def test_what_is_kept_is_found_by_another(tmp_path: Path) -> None:
    one = Cache(tmp_path / "new" / "folder")
    assert one.find("a") is None
    one.keep("a", WON, {"model": "m"})
    one.keep("b", NONE, {})
    assert (one.find("a"), one.find("b")) == (WON, NONE)
    other = Cache(one.folder)
    assert (other.find("a"), other.find("b"), other.find("c"), other.torn) == (WON, NONE, None, 0)
    other.keep("b", WON, {})
    one.close()
    other.close()
    assert Cache(one.folder).find("b") == WON
    assert len(list(one.folder.glob("*.jsonl"))) == 2


def test_a_kill_at_any_byte_loses_one_line_at_most(tmp_path: Path) -> None:
    one = Cache(tmp_path)
    for key in "abc":
        one.keep(key, WON, {"reply": "é\n1"})
    one.close()
    (file,) = tmp_path.glob("*.jsonl")
    whole = file.read_bytes()
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        found = Cache(tmp_path)
        assert [found.find(key) for key in "abc"].count(WON) == whole[:size].count(b"\n")
        assert found.torn == (not whole[:size].endswith(b"\n") and size > 0)


def test_damaged_lines_are_counted_and_cost_nothing_else(tmp_path: Path) -> None:
    good = json.dumps({"key": "a", **WON.as_json()})
    bad = ["{", "7", "[]", "{}", json.dumps({"key": "b", **NONE.as_json(), "reason": None}), "\x00\xff", "[" * 10_000]
    (tmp_path / "x.jsonl").write_text("\n".join([*bad, "", good]) + "\n")
    found = Cache(tmp_path)
    assert (found.find("a"), found.find("b"), found.torn) == (WON, None, len(bad))


def test_what_others_write_meanwhile_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.0)
    one, other = Cache(tmp_path), Cache(tmp_path)
    one.keep("a", WON, {})
    assert other.find("a") == WON
    (file,) = tmp_path.glob("*.jsonl")
    line = json.dumps({"key": "b", **WON.as_json()})
    with file.open("a") as stream:  # half a line, then the rest
        stream.write(line[:30])
    assert other.find("b") is None
    with file.open("a") as stream:
        stream.write(f"{line[30:]}\n")
    assert (other.find("b"), other.torn) == (WON, 0)


def test_it_goes_on_after_it_was_closed(tmp_path: Path) -> None:
    one = Cache(tmp_path)
    one.keep("a", WON, {})
    one.close()
    one.keep("b", WON, {})
    one.close()
    found = Cache(tmp_path)
    assert (found.find("a"), found.find("b")) == (WON, WON)


def test_a_place_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cache must name a folder that can be used, got .*/file: File exists"):
        Cache(tmp_path / "file")


def test_behind_a_line_that_a_full_disk_cut_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, write = Cache(tmp_path), os.write

    def full(file: int, line: bytes) -> int:
        if len(line) < 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(file, line[:-10])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        one.keep("a", WON, {})
    monkeypatch.undo()
    one.keep("b", WON, {})
    one.close()
    found = Cache(tmp_path)
    assert (found.find("a"), found.find("b"), found.torn) == (None, WON, 1)
