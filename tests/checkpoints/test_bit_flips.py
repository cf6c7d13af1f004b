"""No flipped bit of a checkpoint gets past a command that reads it; 100 per command are in benchmarks/bit_flips.py."""

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from reference import attacks
from small_run import SMALL

from qstar_pl.checkpoints.damage import find_damage
from qstar_pl.cli import main

COMMANDS = {
    "fit": ("fit", *SMALL, "--trainer.max_steps=2", "--ckpt_path={}"),
    "validate": ("validate", *SMALL, "--ckpt_path={}"),
    "export": ("export", "--ckpt_path={}", "--output=out"),
    "generate": ("generate", "--model_theta={}", "--num_samples=1", "--max_new_tokens=1", "--output=out.jsonl"),
    "next stage": ("fit", *SMALL, "--model=SFT", "--model.policy=FromCheckpoint", "--model.policy.path={}"),
}


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("whole")
    words = ("fit", *SMALL, "--model=SFT", "--trainer.max_steps=1", "--trainer.limit_val_batches=0", "--name=sft")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PL_GLOBAL_SEED", "0")
        patch.setenv("QSTAR_DATE", "2000-01-01")
        assert main(words) == 0
    yield torch.load(folder / "runs/sft/version_0/checkpoints/last.ckpt", weights_only=True)
    shutil.rmtree(folder)


def flip(path: Path, rng: random.Random) -> Path:
    """Flip one bit of a file, or of any file of a folder, each bit with the same probability."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    file = rng.choices(files, [one.stat().st_size for one in files])[0]
    content = bytearray(file.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)
    return file


@pytest.mark.parametrize("write", [attacks.write_file, attacks.write_folder])
def test_every_flipped_bit_is_found(write: Any, isolated: Path) -> None:
    """Of a small checkpoint, so that headers and padding are most of it."""
    rng = random.Random(0)
    small = {"state_dict": {"policy.w": torch.arange(12.0)}, "qstar_config": {}}
    for _ in range(100):
        path = write(small, Path("small.ckpt"))
        assert find_damage(path) is None
        flip(path, rng)
        assert find_damage(path) is not None
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize("file", [".metadata", "checksums.json", "meta.pt"])
def test_every_flipped_bit_of_a_folders_small_files_is_found(file: str, isolated: Path) -> None:
    rng = random.Random(1)
    path = attacks.write_folder({"state_dict": {"policy.w": torch.arange(12.0)}, "qstar_config": {}})
    whole = (path / file).read_bytes()
    for _ in range(100):
        content = bytearray(whole)
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        (path / file).write_bytes(content)
        assert find_damage(path) is not None
    (path / file).write_bytes(whole)
    assert find_damage(path) is None


@pytest.mark.parametrize("write", [attacks.write_file, attacks.write_folder])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_accepts_one(
    command: str, write: Any, contents: dict[str, Any], qstar: Callable[..., tuple[int, str, str]]
) -> None:
    path = write(contents, Path("flipped.ckpt"))
    flip(path, random.Random(f"{command}{write}"))
    code, _, err = qstar(*(word.format(path) for word in COMMANDS[command]))
    assert code == 2
    (said,) = (line for line in err.splitlines() if line.startswith("error:"))
    assert "must be a whole checkpoint, got flipped.ckpt, where" in said or "must be a Lightning checkpoint" in said
    assert not Path("out").exists()
