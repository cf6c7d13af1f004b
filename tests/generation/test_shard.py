import errno
import json
import os
from pathlib import Path

import pytest

from qstar_pl.errors import UserError
from qstar_pl.generation.plan import Plan, plan_batches
from qstar_pl.generation.shard import Shard, repair, scan

PLAN = plan_batches([1] * 5, batch_size=2, samples=2)


def write(path: Path, plan: Plan = PLAN, batches: tuple[int, ...] = (0, 1, 2)) -> bytes:
    shard = Shard(path)
    for batch in batches:
        rows = plan.rows_of(batch)
        shard.append(batch, rows, [{"text": f"ä{row}\n"} for row in rows])
    shard.close()
    return path.read_bytes()


def ends_of_batches(whole: bytes) -> list[int]:
    ends, offset, last = [0], 0, None
    for line in whole.splitlines(keepends=True):
        batch = json.loads(line)["batch"]
        if last is not None and batch != last:
            ends.append(offset)
        offset, last = offset + len(line), batch
    return [*ends, offset]


def test_rows_are_found_where_they_stand(tmp_path):
    path = tmp_path / "shard.jsonl"
    whole = write(path)
    found = scan(path, PLAN)
    assert found.end == len(whole)
    assert list(found.batches) == [0, 1, 2]
    for batch, places in found.batches.items():
        assert [row for row, _ in places] == PLAN.rows_of(batch)
        for row, place in places:
            entry = json.loads(whole[place.offset : place.offset + place.length])
            assert entry == {"batch": batch, "row": row, "record": {"text": f"ä{row}\n"}}


def test_a_file_cut_at_any_byte_keeps_its_whole_batches(tmp_path):
    path = tmp_path / "shard.jsonl"
    whole = write(path)
    ends = ends_of_batches(whole)
    assert len(ends) == 4
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        kept = max(end for end in ends if end <= length)
        assert repair(path, PLAN) == length - kept
        assert path.read_bytes() == whole[:kept]
        assert list(scan(path, PLAN).batches) == list(range(ends.index(kept)))


@pytest.mark.parametrize("damage", [b"\0" * 40, b"{}\n", b'{"batch": 99, "row": 0}\n', b"\xff\n", b"null\n"])
def test_what_is_no_row_ends_the_file(tmp_path, damage):
    path = tmp_path / "shard.jsonl"
    whole = write(path, batches=(2, 0))
    path.write_bytes(whole + damage + whole)
    assert repair(path, PLAN) == len(damage) + len(whole)
    assert path.read_bytes() == whole


def test_rows_in_another_order_are_no_batch(tmp_path):
    path = tmp_path / "shard.jsonl"
    lines = write(path, batches=(0,)).splitlines(keepends=True)
    path.write_bytes(b"".join([lines[1], lines[0], *lines[2:]]))
    assert scan(path, PLAN).end == 0


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "shard.jsonl"
    before = write(path, batches=(0,))
    shard = Shard(path)
    write_bytes, taken = os.write, []

    def nearly_full(file: int, data: memoryview) -> int:
        if taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken.append(write_bytes(file, bytes(data)[: len(data) // 2]))
        return taken[0]

    monkeypatch.setattr(os, "write", nearly_full)
    rows = PLAN.rows_of(1)
    with pytest.raises(OSError, match="No space left"):
        shard.append(1, rows, [{"text": "x"}] * len(rows))
    assert taken
    assert path.read_bytes() == before
    monkeypatch.undo()
    shard.append(1, rows, [{"text": "x"}] * len(rows))  # room was made
    shard.close()
    assert list(scan(path, PLAN).batches) == [0, 1]


def test_two_writers_are_one_too_many(tmp_path):
    path = tmp_path / "shard.jsonl"
    first = Shard(path)
    with pytest.raises(UserError, match="another process still writes to"):
        Shard(path)
    first.close()
    Shard(path).close()
