import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from qstar_pl.checkpoints import AtomicCheckpointIO
from qstar_pl.checkpoints.atomic import replacing


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


WRITER = """
import sys, torch
from qstar_pl.checkpoints import AtomicCheckpointIO
number = 0
while True:
    number += 1
    AtomicCheckpointIO().save_checkpoint({"number": number, "weight": torch.full((200_000,), number)}, sys.argv[1])
    print(number, flush=True)
"""


def test_a_kill_at_any_moment_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for wait in (0.0, 0.003, 0.006, 0.01):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert writer.stdout is not None
        try:
            assert writer.stdout.readline() == "1\n"
            time.sleep(wait)
        finally:
            writer.kill()
        said = [1, *map(int, writer.communicate()[0].split())]
        saved = AtomicCheckpointIO().load_checkpoint(path, weights_only=True)
        assert saved["number"] >= said[-1]
        assert (saved["weight"] == saved["number"]).all()
