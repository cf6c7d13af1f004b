import os

import numpy as np
import pytest

from qstar_pl.data import single_turn
from qstar_pl.data.encoding import Encoder
from qstar_pl.data.tokenised import WORTH_A_FILE, encode_all, encode_cached

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


def test_nothing_is_tokenised_the_second_time(encoder, tmp_path, monkeypatch):
    encode_cached(encoder, EXAMPLES, str(tmp_path))
    monkeypatch.setattr(Encoder, "encode", lambda *_: pytest.fail("tokenised again"))
    assert encode_cached(encoder, EXAMPLES, str(tmp_path)).rows


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
    assert again.cache == f"tokens cached in {file}, which was damaged"
    assert file.read_bytes() == whole


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
