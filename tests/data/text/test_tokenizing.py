import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save

from qstar_pl.data import single_turn
from qstar_pl.data.text import token_cache
from qstar_pl.data.text.encoding import Encoder
from qstar_pl.data.text.tokenizing import WORTH_A_FILE, encode_all, encode_cached

EXAMPLES = [
    single_turn(f"question {n}", "yes" if n % 3 else None, "no " * n if n % 3 == 1 else None) for n in range(20)
]


def same(one, other):
    assert one.rejected == other.rejected
    assert len(one.rows) == len(other.rows) > 0
    for mine, theirs in zip(one.rows, other.rows, strict=True):
        assert mine.example is theirs.example
        assert (mine.prompt_cut, mine.answers_cut) == (theirs.prompt_cut, theirs.answers_cut)
        for name in ("prompt", "chosen", "rejected"):
            left, right = getattr(mine, name), getattr(theirs, name)
            assert (left is None) == (right is None)
            if left is not None:
                assert left.dtype == right.dtype
                assert np.array_equal(left, right)


@pytest.fixture
def encoder(tokenizer):
    return Encoder(tokenizer, 12, 6, drop_long_answers=True)


def test_the_cache_gives_what_encoding_gives(encoder, tmp_path):
    plain = encode_all(encoder, EXAMPLES)
    assert plain.rejected["an answer is longer than max_completion_tokens"] > 0
    made = encode_cached(encoder, EXAMPLES, str(tmp_path))
    found = encode_cached(encoder, EXAMPLES, str(tmp_path))
    same(plain, made)
    same(plain, found)
    (file,) = tmp_path.iterdir()
    assert (plain.cache, made.cache, found.cache) == (None, f"tokens cached in {file}", f"tokens from {file}")


def test_a_few_rows_alone_are_tokenized_the_second_time(encoder, tmp_path, monkeypatch):
    many = [single_turn(f"question {n}", "yes") for n in range(500)]
    encode_cached(encoder, many, str(tmp_path))
    calls, encode = [], Encoder.encode
    monkeypatch.setattr(Encoder, "encode", lambda self, example: calls.append(1) or encode(self, example))
    assert encode_cached(encoder, many, str(tmp_path)).cache.startswith("tokens from")
    assert len(calls) < 60


def test_a_few_rows_are_not_worth_a_file_of_the_users(encoder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert encode_cached(encoder, EXAMPLES, None).cache is None
    assert not list(tmp_path.iterdir())
    many = [single_turn(f"q{n}", "yes") for n in range(WORTH_A_FILE)]
    assert str(tmp_path / "qstar_pl" / "tokens") in encode_cached(encoder, many, None).cache
    assert encode_cached(encoder, many, None).cache.startswith("tokens from")


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "other format"])
def test_a_damaged_file_is_made_anew(encoder, tmp_path, damage):
    plain = encode_cached(encoder, EXAMPLES, str(tmp_path))
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    changed = bytearray(whole)
    changed[-3] ^= 1
    file.write_bytes({"cut": whole[:-10], "changed": bytes(changed), "empty": b"", "other format": b"PK" * 50}[damage])
    again = encode_cached(encoder, EXAMPLES, str(tmp_path))
    same(plain, again)
    assert again.cache == f"tokens cached in {file}, which could not be used"
    assert file.read_bytes() == whole


def forge(file, change):
    """Write the file with other contents and the checksum that belongs to them."""
    with safe_open(file, framework="np") as opened:
        facts = json.loads(opened.metadata()["facts"])
        arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a mapping)
    facts = change(arrays, facts) or facts
    if isinstance(facts, dict) and "checksum" in facts:
        facts["checksum"] = token_cache._checksum(arrays)
    file.write_bytes(save(arrays, metadata={"facts": json.dumps(facts)}))


def put(name, position, value):
    return lambda arrays, facts: arrays[name].__setitem__(position, value)


FORGERIES = {
    "an example that is not there": put("example", -1, 10**9),
    "a negative example": put("example", 0, -1),
    "another order": lambda arrays, facts: arrays["example"][:2].__setitem__(slice(None), [1, 0]),
    "another token": put("prompt_ids", 0, 0),
    "a negative token": put("chosen_ids", 0, -5),
    "a length below 0": put("prompt_lengths", 0, -1),
    "lengths of more than there is": put("prompt_lengths", 0, 10**6),
    "no prompt": put("prompt_mask", 0, False),
    "an answer that is not there": lambda arrays, facts: arrays["chosen_mask"].__setitem__(slice(None), True),
    "no array": lambda arrays, facts: arrays.pop("chosen_ids") is None and None,
    "one array more": lambda arrays, facts: arrays.update(more=np.zeros(3)),
    "floats": lambda arrays, facts: arrays.update(prompt_ids=arrays["prompt_ids"].astype(np.float32)),
    "a table": lambda arrays, facts: arrays.update(prompt_ids=arrays["prompt_ids"][None]),
    "other rows left out": lambda arrays, facts: facts["rejected"].update(why=1),
    "no counts": lambda arrays, facts: facts.update(rejected=[1]),
    "facts of another form": lambda arrays, facts: [1],
    "no facts": lambda arrays, facts: {"checksum": ""},
}


@pytest.mark.parametrize("change", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_file_is_made_anew(encoder, tmp_path, change):
    plain = encode_cached(encoder, EXAMPLES, str(tmp_path))
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    forge(file, change)
    assert file.read_bytes() != whole
    again = encode_cached(encoder, EXAMPLES, str(tmp_path))
    same(plain, again)
    assert again.cache == f"tokens cached in {file}, which could not be used"
    assert file.read_bytes() == whole


@pytest.mark.parametrize(
    "kind", ["pipe", "folder", "link to itself", "link to a device", "open to all", "someone else's"]
)
def test_what_is_no_file_of_the_users_is_not_used(encoder, tmp_path, kind):
    plain = encode_cached(encoder, EXAMPLES, str(tmp_path))
    (file,) = tmp_path.iterdir()
    if kind == "open to all":
        file.chmod(0o666)
    elif kind == "someone else's":
        if os.geteuid() != 0:
            pytest.skip("only root can give a file away")
        os.chown(file, 12345, 12345)
    else:
        file.unlink()
        make = {
            "pipe": lambda: os.mkfifo(file),
            "folder": file.mkdir,
            "link to itself": lambda: file.symlink_to(file),
            "link to a device": lambda: file.symlink_to("/dev/zero"),
        }
        make[kind]()
    again = encode_cached(encoder, EXAMPLES, str(tmp_path))
    same(plain, again)
    if kind == "folder":
        assert again.cache == f"tokens not cached: Is a directory: {tmp_path}"
    else:
        assert again.cache == f"tokens cached in {file}, which could not be used"
        assert encode_cached(encoder, EXAMPLES, str(tmp_path)).cache == f"tokens from {file}"


def test_a_folder_without_access(encoder, tmp_path, monkeypatch):
    """As root nothing is without access, so the system's answer is put in."""
    plain = encode_cached(encoder, EXAMPLES, str(tmp_path))

    def refuse(*arguments, **named):
        raise PermissionError(13, os.strerror(13))

    for name in ("stat", "mkdir"):
        monkeypatch.setattr(Path, name, refuse)
    again = encode_cached(encoder, EXAMPLES, str(tmp_path))
    same(plain, again)
    assert again.cache == f"tokens not cached: Permission denied: {tmp_path}"


def test_a_full_disk_is_said_and_nothing_is_left_behind(encoder, tmp_path, monkeypatch):
    plain = encode_all(encoder, EXAMPLES)

    def full(*_, **__):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fdopen", full)
    made = encode_cached(encoder, EXAMPLES, str(tmp_path))
    same(plain, made)
    assert made.cache == f"tokens not cached: No space left on device: {tmp_path}"
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made(encoder, tmp_path):
    (tmp_path / "file").write_text("")
    made = encode_cached(encoder, EXAMPLES, str(tmp_path / "file"))
    same(encode_all(encoder, EXAMPLES), made)
    assert made.cache.startswith("tokens not cached: ")


def test_tokenizers_without_a_fingerprint(encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(type(encoder.tokenizer), "is_fast", False)
    made = encode_cached(encoder, EXAMPLES, str(tmp_path))
    assert made.cache == "tokens not cached: only fast tokenizers have a fingerprint"
    assert not list(tmp_path.iterdir())
