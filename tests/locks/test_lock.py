"""Who holds a lock, who has lost it, and that only one can have it."""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from qstar_pl.errors import UserError
from qstar_pl.locks import LIMIT_S, Holder, Lock, check_free, last_holder
from qstar_pl.locks import holder as holder_module
from qstar_pl.locks import lock as lock_module

HOLD = """
import sys, time
from pathlib import Path
from qstar_pl.locks import Lock
lock = Lock.acquire(Path(sys.argv[1]), "what")
print("held", flush=True)
time.sleep(600)
"""


def other_holds(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def write(path: Path, holder: Holder, age_s: float = 0.0) -> None:
    path.write_text(json.dumps(asdict(holder)))
    os.utime(path, (time.time() - age_s, time.time() - age_s))


def test_a_second_process_is_refused_and_a_killed_one_is_succeeded(tmp_path: Path) -> None:
    path = tmp_path / "run" / ".lock"
    process = other_holds(path)
    try:
        with pytest.raises(UserError, match=f"^output must be mine, where process {process.pid} on .* since 2"):
            Lock.acquire(path, "output must be mine")
        assert [file.name for file in path.parent.iterdir()] == [".lock"]
    finally:
        process.send_signal(signal.SIGKILL)  # not waited for yet: what is left of it is no process that writes
    time.sleep(0.2)
    lock = Lock.acquire(path, "output must be mine")
    process.wait()
    assert lock.taken_from is not None
    assert lock.taken_from.pid == process.pid
    lock.release()
    lock.release()
    assert not list(path.parent.iterdir())
    again = Lock.acquire(path, "")
    assert again.taken_from is None
    again.release()


def test_a_process_that_ends_by_itself_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    subprocess.run([sys.executable, "-c", HOLD.replace("time.sleep(600)", ""), str(path)], check=True)
    assert not list(tmp_path.iterdir())


def test_a_process_id_that_is_used_again_is_another_process(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    process = other_holds(path)
    try:
        held = Holder(**json.loads(path.read_text()))
        write(path, replace(held, started="1"))
        lock = Lock.acquire(path, "")
        assert lock.taken_from is not None
        lock.release()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("changes", "age_s", "gone"),
    [
        ({"host": "elsewhere"}, 0.0, False),
        ({"host": "elsewhere"}, LIMIT_S + 5, True),
        ({"machine": "another boot, or a container"}, 0.0, False),
        ({"machine": "another boot, or a container"}, LIMIT_S + 5, True),
        ({"host": "elsewhere", "job": "7.0"}, 0.0, True),
        ({"host": "elsewhere", "job": "7.1"}, 0.0, False),
        ({"host": "elsewhere", "job": "8.0"}, 0.0, False),
        ({"pid": 2**22 + 1}, 0.0, True),
    ],
)
def test_who_is_gone(tmp_path: Path, changes: dict, age_s: float, gone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """On another machine the last touch decides, except for an earlier start of this job, which SLURM has ended."""
    path = tmp_path / ".lock"
    write(path, replace(Holder.myself(), **changes), age_s)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    if gone:
        lock = Lock.acquire(path, "")
        assert lock.taken_from is not None
        lock.release()
    else:
        with pytest.raises(UserError):
            Lock.acquire(path, "")
        assert check_free(tmp_path / "other", "") is None


@pytest.mark.parametrize("content", [b"", b'{"host": "a', b"\xff\x00", b"[]"], ids=["empty", "cut", "bytes", "list"])
@pytest.mark.parametrize("touched_s", [0.0, 600.0, -600.0])
def test_a_damaged_one_is_in_the_way_for_a_moment_only(
    tmp_path: Path, content: bytes, touched_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_module, "UNREADABLE_S", 0.2)
    path = tmp_path / ".lock"
    path.write_bytes(content)
    os.utime(path, (time.time() - touched_s,) * 2)
    began = time.monotonic()
    lock = Lock.acquire(path, "what")
    assert time.monotonic() - began < 2
    assert lock.taken_from is None
    lock.release()
    assert not list(tmp_path.iterdir())


def test_one_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    """On a file system without links it is empty for a moment."""
    path = tmp_path / ".lock"
    path.touch()
    content = json.dumps(
        asdict(replace(Holder.myself(), pid=os.getppid(), started=holder_module._started(os.getppid())))
    )
    writer = threading.Timer(0.3, path.write_text, (content,))
    writer.start()
    with pytest.raises(UserError, match=f"process {os.getppid()} on"):
        Lock.acquire(path, "what")
    writer.join()


def test_the_holder_shows_that_it_lives_and_notices_a_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "BEAT_S", 0.02)
    path = tmp_path / ".lock"
    lock = Lock.acquire(path, "")
    os.utime(path, (0, 0))
    until = time.monotonic() + 5
    while path.stat().st_mtime < 1e9:
        assert time.monotonic() < until
        time.sleep(0.01)
    write(path, replace(Holder.myself(), token="another"))
    while not lock.lost:
        assert time.monotonic() < until
        time.sleep(0.01)
    lock.release()
    assert path.exists(), "it is another's"


def test_a_failed_look_is_no_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network file system is away for a moment: the touches must go on afterwards."""
    monkeypatch.setattr(lock_module, "BEAT_S", 0.02)
    path, failures, read = tmp_path / ".lock", [], Path.read_text
    lock = Lock.acquire(path, "")

    def fail(self: Path, **options: str) -> str:
        if self == path and len(failures) < 3:
            failures.append(self)
            raise OSError(5, "Input/output error")
        return read(self, **options)

    monkeypatch.setattr(Path, "read_text", fail)
    until = time.monotonic() + 5
    while len(failures) < 3:
        assert time.monotonic() < until
        time.sleep(0.01)
    os.utime(path, (0, 0))
    while path.stat().st_mtime < 1e9:
        assert time.monotonic() < until
        time.sleep(0.01)
    lock.check("what")
    lock.release()


@pytest.mark.parametrize("left", ["another's", "none"])
def test_a_holder_that_lost_its_lock_is_told_before_it_writes(tmp_path: Path, left: str) -> None:
    """Also before the next touch, as after the process was halted for a while."""
    lock = Lock.acquire(tmp_path / ".lock", "")
    lock.check("the folder")
    lock.path.unlink()
    if left == "another's":
        write(lock.path, replace(Holder.myself(), token="another"))
    with pytest.raises(
        UserError, match=r"^another run has taken over the folder, or its lock was deleted: .* no more$"
    ):
        lock.check("the folder")
    lock.path.unlink(missing_ok=True)
    lock.release()


@pytest.mark.parametrize(
    ("held", "now", "gone"),
    [("", "", False), ("", None, True), ("", "17", False), ("17", "", False), ("17", "17", False), ("17", "18", True)],
)
def test_start_times_count_where_both_are_known(
    held: str, now: str | None, gone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without /proc they are not: there, whether such a process is there decides."""
    monkeypatch.setattr(holder_module, "_started", lambda _: now)
    assert replace(Holder.myself(), started=held).is_gone(0.0) is gone


@pytest.mark.parametrize("links", [True, False])
def test_of_many_at_once_one_gets_it(tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on a file system without hard links, and where a stale one must be put aside first."""
    if not links:

        def refuse(*_: object) -> None:
            raise PermissionError

        monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(Holder, "is_mine", lambda self: False)  # threads stand for processes
    for attempt in range(20):
        path = tmp_path / str(attempt) / ".lock"
        path.parent.mkdir()
        write(path, replace(Holder.myself(), pid=2**22 + 1))

        def take(_: int, path: Path = path) -> bool:
            try:
                Lock.acquire(path, "")
            except UserError:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(take, range(8))) == 1
        assert [file.name for file in path.parent.iterdir()] == [".lock"]


def test_a_slow_process_does_not_remove_the_lock_of_one_that_was_quicker(tmp_path: Path) -> None:
    """Three processes find a stale lock; the second still believes it is there when the first has taken it over."""
    path = tmp_path / ".lock"
    stale = replace(Holder.myself(), pid=2**22 + 1)
    write(path, stale)
    first = Lock.acquire(path, "what")
    held = path.stat().st_ctime_ns
    assert lock_module._put_aside(path, stale) is False
    assert lock_module._put_aside(path, None) is False
    assert path.stat().st_ctime_ns == held, "at no moment was it away"
    assert first.taken_from == stale
    first.release()


@pytest.mark.parametrize("age_s", [0.0, 600.0])
def test_a_claim_that_a_kill_left_is_in_the_way_for_a_moment_only(
    tmp_path: Path, age_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_module, "CLAIM_S", 0.2)
    write(tmp_path / ".lock", replace(Holder.myself(), pid=2**22 + 1))
    (tmp_path / ".lock.claim").touch()
    os.utime(tmp_path / ".lock.claim", (time.time() - age_s,) * 2)
    Lock.acquire(tmp_path / ".lock", "what").release()
    assert not list(tmp_path.iterdir())


@pytest.mark.timeout(20)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes that have names")
def test_a_pipe_in_a_locks_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".lock")
    os.utime(tmp_path / ".lock", (time.time() - 60,) * 2)
    lock = Lock.acquire(tmp_path / ".lock", "what")
    assert (tmp_path / ".lock").is_file()
    lock.release()


def test_looking_tells_who_holds_it_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    assert last_holder(path) is None
    lock = Lock.acquire(path, "x")
    assert last_holder(path) == (lock.holder, True)
    gone = replace(lock.holder, pid=2**22 + 1)  # beyond the largest id of a process
    path.write_text(json.dumps(asdict(gone)))
    tmp_path.chmod(0o500)
    assert last_holder(path) == (gone, False)
    assert [one.name for one in tmp_path.iterdir()] == ["x.lock"]
    path.write_text("{")
    assert last_holder(path) is None
    tmp_path.chmod(0o700)


@pytest.mark.parametrize("links", [True, False])
def test_where_it_cannot_be_written_the_error_names_it_and_nothing_is_left(
    tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EFBIG, as a full disk's ENOSPC: names no file by itself, and comes when the file is there already."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def full(*_: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
        raise PermissionError  # a file system without links

    monkeypatch.setattr(os, "link", full)
    try:
        if links:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
        with pytest.raises(OSError, match="File too large") as caught:
            Lock.acquire(tmp_path / ".lock", "what")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(tmp_path / ".lock")
    assert not list(tmp_path.iterdir())
