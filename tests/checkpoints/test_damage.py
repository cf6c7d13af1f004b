import os
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.demos.boring_classes import BoringModel

from qstar_pl.checkpoints import AtomicCheckpointIO, check_whole
from qstar_pl.checkpoints.damage import find_damage, write_manifest
from qstar_pl.errors import UserError


@pytest.fixture
def checkpoints(tmp_path: Path) -> tuple[Path, Path]:
    for age, name in enumerate(("last.ckpt", "step=2.ckpt", "step=1.ckpt")):
        AtomicCheckpointIO().save_checkpoint({"weight": torch.arange(1000) + age}, tmp_path / name)
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    return tmp_path / "last.ckpt", tmp_path / "step=2.ckpt"


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def test_one_flipped_bit_is_found_and_the_one_before_offered(checkpoints) -> None:
    last, before = checkpoints
    check_whole(last)
    flip(last, last.stat().st_size // 2)
    with pytest.raises(UserError, match=rf"got {last}, where .* has been changed; .* whole: --ckpt_path {before}"):
        AtomicCheckpointIO().load_checkpoint(last)


def test_a_cut_file_is_found(checkpoints) -> None:
    last, before = checkpoints
    last.write_bytes(last.read_bytes()[:-100])
    before.write_bytes(before.read_bytes()[:300])
    with pytest.raises(UserError, match=r"got .*last\.ckpt, where the file cannot be read .*step=1\.ckpt"):
        check_whole(last)


def test_without_another_the_message_says_so(tmp_path) -> None:
    (tmp_path / "only.ckpt").write_bytes(b"PK")
    with pytest.raises(UserError, match="there is no other beside it"):
        check_whole(tmp_path / "only.ckpt")


def test_folders(tmp_path: Path) -> None:
    folder = tmp_path / "last.ckpt"
    folder.mkdir()
    (folder / "__0_0.distcp").write_bytes(bytes(1000))
    (folder / "meta.pt").write_bytes(b"meta")
    assert find_damage(folder) is None  # nothing known, nothing said
    write_manifest(folder)
    assert find_damage(folder) is None
    flip(folder / "__0_0.distcp", 500)
    assert find_damage(folder) == "__0_0.distcp has been changed"
    (folder / "__0_0.distcp").write_bytes(bytes(999))
    assert find_damage(folder) == "__0_0.distcp has 999 bytes instead of 1000"
    (folder / "meta.pt").unlink()
    (folder / "__0_0.distcp").write_bytes(bytes(1000))
    assert find_damage(folder) == "meta.pt is missing"


def test_a_trainer_in_python_seals_with_the_plugin_and_is_named_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, plugins in (("sealed", [AtomicCheckpointIO()]), ("plain", None)):
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = Trainer(fast_dev_run=1, accelerator="cpu", plugins=plugins, **quiet)
        trainer.fit(BoringModel())
        trainer.save_checkpoint(tmp_path / name)
        capsys.readouterr()
        check_whole(tmp_path / name)
        said = capsys.readouterr().err
        assert ("a Trainer without qstar_pl.checkpoints.AtomicCheckpointIO" in said) == (name == "plain"), said
