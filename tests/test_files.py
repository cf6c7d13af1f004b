"""Files that others may read."""

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from qstar_pl.files import open_weights, plain_mode


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664), (0o000, 0o666)])
def test_weights_have_the_mode_of_other_files(umask: int, mode: int, tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "a.safetensors")
    secret = tmp_path / "secret"
    secret.touch(0o600)
    before = os.umask(umask)
    try:
        (tmp_path / "other").write_text("")
        open_weights(tmp_path)
        assert plain_mode() == mode
        assert os.umask(umask) == umask, "it is as it was"
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a.safetensors", "other")] == [mode, mode]
    assert secret.stat().st_mode & 0o777 == 0o600
