from pathlib import Path

import torch

from qstar_pl.run_folders.saved import saved_in, stored_step


def test_newest_first_with_steps_and_sizes(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    torch.save({"epoch": 1, "global_step": 300, "w": torch.zeros(10)}, folder / "last.ckpt")
    torch.save({"epoch": 0, "global_step": 7}, folder / "epoch=0-step=70.ckpt")
    sharded = folder / "sharded.ckpt"
    sharded.mkdir()
    torch.save({"global_step": 70000}, sharded / "meta.pt")
    (folder / "damaged.ckpt").write_bytes(b"PK")
    (folder / ".last.ckpt.unfinished").touch()
    found = [(one.path.name, one.step) for one in saved_in(tmp_path)]
    assert found == [("sharded.ckpt", 70000), ("last.ckpt", 300), ("epoch=0-step=70.ckpt", 70), ("damaged.ckpt", None)]
    assert saved_in(tmp_path)[1].size == (folder / "last.ckpt").stat().st_size


def test_a_file_of_weights_says_no_step(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(10), "n": 3}, tmp_path / "w.ckpt")
    assert stored_step(tmp_path / "w.ckpt") is None
    assert saved_in(tmp_path) == []
