import os
from pathlib import Path

import numpy as np
import pytest

from qstar_pl.data import single_turn
from qstar_pl.data.storage.arrow_file import ArrowFile, ArrowWriter, lists
from qstar_pl.data.storage.folder import WORTH_A_FILE, CacheFolder
from qstar_pl.data.storage.token_cache import SCHEMA
from qstar_pl.data.storage.tokenizing import encode_all, encode_cached
from qstar_pl.data.text.encoding import Encoder

EXAMPLES = [
    single_turn(f"question {n}", "yes" if n % 3 else None, "no " * n if n % 3 == 1 else None) for n in range(20)
]


def same(one, other):
    assert one.rejected == other.rejected
    assert len(one.rows) == len(other.rows) > 0
    for mine, theirs in zip(one.rows, other.rows, strict=True):
        assert mine.example == theirs.example
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
    made = encode_cached(encoder, EXAMPLES, CacheFolder.of(str(tmp_path)))
    found = encode_cached(encoder, EXAMPLES, CacheFolder.of(str(tmp_path)))
    same(plain, made)
    same(plain, found)
    (file,) = tmp_path.iterdir()
    assert (plain.cache, made.cache, found.cache) == (None, f"tokens cached in {file}", f"tokens from {file}")


def test_a_few_rows_alone_are_tokenized_the_second_time(encoder, tmp_path, monkeypatch):
    many = [single_turn(f"question {n}", "yes") for n in range(500)]
    encode_cached(encoder, many, CacheFolder.of(str(tmp_path)))
    calls, encode = [], Encoder.encode
    monkeypatch.setattr(Encoder, "encode", lambda self, example: calls.append(1) or encode(self, example))
    assert encode_cached(encoder, many, CacheFolder.of(str(tmp_path))).cache.startswith("tokens from")
    assert len(calls) < 60


def test_a_few_rows_are_not_worth_a_file_of_the_users(encoder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert encode_cached(encoder, EXAMPLES, CacheFolder.of(None)).cache is None
    assert not list(tmp_path.iterdir())
    many = [single_turn(f"q{n}", "yes") for n in range(WORTH_A_FILE)]
    assert str(tmp_path / "qstar_pl" / "tokens") in encode_cached(encoder, many, CacheFolder.of(None)).cache
    assert encode_cached(encoder, many, CacheFolder.of(None)).cache.startswith("tokens from")


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "other format"])
def test_a_damaged_file_is_made_anew(encoder, tmp_path, damage):
    plain = encode_cached(encoder, EXAMPLES, CacheFolder.of(str(tmp_path)))
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    changed = bytearray(whole)
    changed[-3] ^= 1
    file.write_bytes({"cut": whole[:-10], "changed": bytes(changed), "empty": b"", "other format": b"PK" * 50}[damage])
    again = encode_cached(encoder, EXAMPLES, CacheFolder.of(str(tmp_path)))
    same(plain, again)
    assert again.cache == f"tokens cached in {file}, which could not be used"
    assert file.read_bytes() == whole


def forge(file, change):
    """Write the file with other contents and the digest that belongs to them."""
    opened = ArrowFile(file, SCHEMA)
    (batch,) = opened.batches
    columns = {name: batch.column(name).to_pylist() for name in SCHEMA.names}
    for name in ("prompt", "chosen", "rejected"):
        columns[name] = [None if ids is None else np.asarray(ids, np.int32) for ids in columns[name]]
    facts = change(columns, opened.facts) or opened.facts
    columns |= {name: lists(columns[name]) for name in ("prompt", "chosen", "rejected")}
    writer = ArrowWriter(file.parent, SCHEMA)
    writer.rows(columns)
    writer.finish(facts, file)


def put(name, position, value):
    return lambda columns, facts: columns[name].__setitem__(position, value)


def ids(*values):
    return np.asarray(values, np.int32)


FORGERIES = {
    "an example that is not there": put("example", -1, 10**9),
    "a negative example": put("example", 0, -1),
    "another order": lambda columns, facts: columns["example"].__setitem__(slice(2), columns["example"][1::-1]),
    "another token": put("prompt", 0, ids(0)),
    "a negative token": put("prompt", 3, ids(-5)),
    "no prompt": put("prompt", 3, None),
    "an answer that is not there": put("chosen", 0, ids(5)),
    "an answer less": put("chosen", 1, None),
    "another cut": lambda columns, facts: columns["prompt_cut"].__setitem__(0, not columns["prompt_cut"][0]),
    "a row less": lambda columns, facts: [column.pop() for column in columns.values()] and None,
    "other rows left out": lambda columns, facts: facts["rejected"].update(why=1),
    "rows left out that no encoder leaves out": lambda columns, facts: facts.update(
        rejected={"why": sum(facts["rejected"].values())}
    ),
    "fewer than none": lambda columns, facts: facts["rejected"].update(one=1, other=-1),
    "no counts": lambda columns, facts: facts.update(rejected=[1]),
    "no dialogues": lambda columns, facts: facts.update(dialogues=[1]),
    "facts of another form": lambda columns, facts: [1],
    "no facts": lambda columns, facts: {"none": ""},
}


@pytest.mark.parametrize("change", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_file_is_made_anew(encoder, tmp_path, change):
    plain = encode_cached(encoder, EXAMPLES, CacheFolder.of(str(tmp_path)))
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    forge(file, change)
    assert file.read_bytes() != whole
    again = encode_cached(encoder, EXAMPLES, CacheFolder.of(str(tmp_path)))
    same(plain, again)
    assert again.cache == f"tokens cached in {file}, which could not be used"
    assert file.read_bytes() == whole


@pytest.mark.parametrize(
    "kind", ["pipe", "folder", "link to itself", "link to a device", "open to all", "someone else's"]
)
def test_what_is_no_file_of_the_users_is_not_used(encoder, tmp_path, kind):
    plain = encode_cached(encoder, EXAMPLES, CacheFolder.of(str(tmp_path)))
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
    again = encode_cached(encoder, EXAMPLES, CacheFolder.of(str(tmp_path)))
    same(plain, again)
    if kind == "folder":
        assert again.cache == f"tokens not cached: Is a directory: {tmp_path}"
    else:
        assert again.cache == f"tokens cached in {file}, which could not be used"
        assert encode_cached(encoder, EXAMPLES, CacheFolder.of(str(tmp_path))).cache == f"tokens from {file}"


def test_a_folder_without_access(encoder, tmp_path, monkeypatch):
    """As root nothing is without access, so the system's answer is put in."""
    plain = encode_cached(encoder, EXAMPLES, CacheFolder.of(str(tmp_path)))

    def refuse(*arguments, **named):
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(os, "open", refuse)
    again = encode_cached(encoder, EXAMPLES, CacheFolder.of(str(tmp_path)))
    same(plain, again)
    assert again.cache == f"tokens not cached: Permission denied: {tmp_path}"


def test_a_full_disk_is_said_and_nothing_is_left_behind(encoder, tmp_path, monkeypatch):
    plain = encode_all(encoder, EXAMPLES)

    def full(*_, **__):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fdopen", full)
    made = encode_cached(encoder, EXAMPLES, CacheFolder.of(str(tmp_path)))
    same(plain, made)
    assert made.cache == f"tokens not cached: No space left on device: {tmp_path}"
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made(encoder, tmp_path):
    (tmp_path / "file").write_text("")
    made = encode_cached(encoder, EXAMPLES, CacheFolder.of(str(tmp_path / "file")))
    same(encode_all(encoder, EXAMPLES), made)
    assert made.cache.startswith("tokens not cached: ")


def test_tokenizers_without_a_fingerprint(encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(type(encoder.tokenizer), "is_fast", False)
    made = encode_cached(encoder, EXAMPLES, CacheFolder.of(str(tmp_path)))
    assert made.cache == "tokens not cached: only fast tokenizers have a fingerprint"
    assert not list(tmp_path.iterdir())
