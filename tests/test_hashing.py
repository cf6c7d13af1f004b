import hashlib

import pytest

from qstar_pl.hashing import digest, file_digest, hasher, number


def test_known_hashes():
    # `printf abc | b2sum -l 64`: a change would move prompts to other splits, and give samples other random numbers.
    assert digest("abc").hex() == digest(b"abc").hex() == "d8bb14d833d59559"
    assert number("abc", bits=64) == 0xD8BB14D833D59559
    assert number("abc") == 0xD8BB14D833D59559 >> 1
    assert number("abc", bits=53) == 0xD8BB14D833D59559 >> 11
    assert len(digest("é\ud83d", 20)) == 20


def test_piece_by_piece_and_from_a_file(tmp_path):
    content = hasher(20)
    content.update(b"ab")
    content.update(b"c")
    (tmp_path / "x").write_bytes(b"abc")
    assert content.hexdigest() == file_digest(tmp_path / "x") == hashlib.blake2b(b"abc", digest_size=20).hexdigest()
    with pytest.raises(FileNotFoundError):
        file_digest(tmp_path / "y")
