import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from qstar_pl.checkpoints import AtomicCheckpointIO
from qstar_pl.files import replacing


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_what_is_written_is_read(tmp_path: Path) -> None:
    files, path = AtomicCheckpointIO(), tmp_path / "new" / "last.ckpt"
    files.save_checkpoint({"weight": torch.arange(3)}, path)
    files.save_checkpoint({"weight": torch.arange(4)}, path)
    assert torch.equal(files.load_checkpoint(path, weights_only=True)["weight"], torch.arange(4))
    assert names(path.parent) == ["last.ckpt"]


@pytest.mark.parametrize("folder", [False, True])
def test_a_failure_leaves_what_was_there(tmp_path: Path, folder: bool) -> None:
    path = tmp_path / "last.ckpt"

    def write(beside: Path, text: str) -> None:
        if folder:
            beside.mkdir()
        (beside / "part" if folder else beside).write_text(text)

    with replacing(path) as beside:
        write(beside, "old")
    with suppress(OSError), replacing(path) as beside:
        write(beside, "new")
        raise OSError("No space left on device")
    assert ((path / "part") if folder else path).read_text() == "old"
    with replacing(path) as beside:
        write(beside, "newer")
    assert ((path / "part") if folder else path).read_text() == "newer"
    assert names(tmp_path) == ["last.ckpt"]


def fill(place: Path, text: str, *, folder: bool) -> None:
    if folder:
        place.mkdir()
    (place / "part" if folder else place).write_text(text)


@pytest.mark.parametrize("was_folder", [False, True])
@pytest.mark.parametrize("is_folder", [False, True])
@pytest.mark.parametrize("fails", ["no", "at the second renaming", "killed before the second renaming"])
def test_a_folder_and_a_file_take_each_others_place(
    tmp_path: Path, was_folder: bool, is_folder: bool, fails: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a run goes on with save_distributed_checkpoint switched; until the end the old one is there."""
    path, rename = tmp_path / "last.ckpt", Path.rename
    fill(path, "old", folder=was_folder)
    renames = was_folder or is_folder

    def refuse(self: Path, target: Path) -> Path:
        if self.name.endswith(".unfinished"):
            raise OSError("no") if fails.startswith("at") else KeyboardInterrupt
        return rename(self, target)

    if fails != "no" and renames:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", refuse)
            with suppress(OSError, KeyboardInterrupt), replacing(path) as beside:
                fill(beside, "new", folder=is_folder)
        old = path if fails.startswith("at") else tmp_path / ".last.ckpt.replaced"
        assert (old / "part" if was_folder else old).read_text() == "old"
        with suppress(ValueError), replacing(path):
            raise ValueError  # the next process puts it back, whatever it comes to
        assert (path / "part" if was_folder else path).read_text() == "old"
    with replacing(path) as beside:
        fill(beside, "new", folder=is_folder)
    assert (path / "part" if is_folder else path).read_text() == "new"
    assert names(tmp_path) == ["last.ckpt"]


WRITERS = """
import os, signal, sys, time, torch
from qstar_pl.checkpoints import AtomicCheckpointIO

files, path = AtomicCheckpointIO(), sys.argv[1]
for wait in map(float, sys.argv[2:]):
    heard, said = os.pipe()
    if not (writer := os.fork()):
        number = 0
        while True:
            number += 1
            files.save_checkpoint({"number": number, "weight": torch.full((200_000,), number)}, path)
            os.write(said, b"%d\\n" % number)
    os.close(said)
    with open(heard) as lines:
        assert lines.readline() == "1\\n"
        time.sleep(wait)
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
        last = [1, *map(int, lines)][-1]
    saved = files.load_checkpoint(path, weights_only=True)
    print(last, saved["number"], bool((saved["weight"] == saved["number"]).all()))
"""
"""One after the other, each killed after so many seconds: what the last one said it had saved, and what is there."""


def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    waits = ("0.0", "0.001", "0.003", "0.006", "0.01", "0.02")
    command = [sys.executable, "-c", WRITERS, str(tmp_path / "last.ckpt"), *waits]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == len(waits)
    assert all(int(found) >= int(said) and whole == "True" for said, found, whole in lines), lines
