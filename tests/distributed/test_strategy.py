"""What one process makes of what another has found."""

from pathlib import Path

import pytest
import torch

from qstar_pl.distributed.strategy import FSDP2Strategy
from qstar_pl.errors import UserError


def test_damage_that_the_first_process_finds_ends_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that reads the file whole, as another node's cache of it may be."""
    torch.save({"state_dict": {}}, tmp_path / "last.ckpt")
    monkeypatch.setattr(FSDP2Strategy, "is_global_zero", False)
    monkeypatch.setattr(FSDP2Strategy, "broadcast", lambda *_: "the file has been changed")
    with pytest.raises(UserError, match=r"^ckpt_path must be a whole checkpoint, got .* the file has been changed$"):
        FSDP2Strategy().load_checkpoint(tmp_path / "last.ckpt")
