"""Files that others may read."""

import errno
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from qstar_pl.errors import UserError
from qstar_pl.files import check_not_read, check_writable, full_disk_at, open_weights, plain_mode, write_text


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


def test_a_text_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "new" / "a.json"
    write_text(file, "α\n")
    assert file.read_text(encoding="utf-8") == "α\n"
    link = tmp_path / "link.json"
    link.symlink_to(file)
    write_text(link, "second")
    assert (link.is_symlink(), file.read_text()) == (True, "second")

    def full(path: Path, text: str, **_: object) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_text(file, "third")
    assert caught.value.filename == str(file)
    assert [one.name for one in file.parent.iterdir()] == ["a.json"]
    assert file.read_text() == "second"


def test_an_output_is_none_of_the_files_that_are_read(isolated: Path) -> None:
    Path("a.jsonl").write_text("{}\n")
    Path("link.jsonl").symlink_to("a.jsonl")
    for name in ("a.jsonl", "./a.jsonl", "link.jsonl", str(isolated / "a.jsonl")):
        with pytest.raises(UserError, match=f"^json must be none of the files that are read, got {Path(name)}$"):
            check_not_read(Path(name), [Path("nowhere"), Path("n" * 999), Path("a\0"), Path("a.jsonl")], "json")
    check_not_read(Path("b.jsonl"), [Path("a.jsonl"), Path("b.jsonl")])
    check_not_read(Path("/dev/null"), [Path("/dev/null")])


def test_a_place_that_cannot_be_written_is_refused_before_any_work(
    isolated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("folder").mkdir()
    Path("file").touch()
    Path("link").symlink_to("folder")
    for name, why in (
        ("folder", "Is a directory"),
        ("link", "Is a directory"),
        ("file/a/b.json", "Not a directory"),
        ("n" * 999, "File name too long"),
    ):
        with pytest.raises(UserError, match=f"^json must name a place that can be used, got {name}: {why}$"):
            check_writable(Path(name), "json")
    for name in ("file", "new.json", "link/new.json", "deep/er/new.json", "/dev/null"):
        check_writable(Path(name))
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    for name in ("file", "new.json", "/dev/null"):
        with pytest.raises(UserError, match=f"^output must name a place that can be used, got {name}: Permission"):
            check_writable(Path(name))
    assert sorted(path.name for path in isolated.iterdir()) == ["file", "folder", "link"]


def test_a_device_stays_one() -> None:
    write_text(Path("/dev/null"), "gone")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(OSError, match="No space left"):
        write_text(Path("/dev/full"), "too much")
    assert Path("/dev/full").is_char_device()


def test_a_full_disk_is_named_by_the_place() -> None:
    for number, name in ((errno.ENOSPC, "runs"), (errno.ECONNREFUSED, None)):
        with pytest.raises(OSError, match="x") as caught, full_disk_at(Path("runs")):
            raise OSError(number, "x")
        assert caught.value.filename == name
