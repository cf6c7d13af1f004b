import torch

from qstar_pl.data.text.keys import prompt_key


def test_known_values():
    # `b2sum -l 64` of the same bytes, sign bit cleared: a change would move every prompt to another split.
    assert prompt_key("") == 0x64A6A0577479B2B4
    assert prompt_key("\n\nHuman: hi\n\nAssistant:") == 6493498191079487797
    assert prompt_key("ü☃") == 5404562028413123418


def test_keys_fit_int64():
    keys = [prompt_key(str(number)) for number in range(2000)]
    assert len(set(keys)) == 2000
    assert min(keys) >= 0
    assert torch.tensor(keys, dtype=torch.int64).tolist() == keys
    # All 63 bits are used.
    assert max(keys).bit_length() == 63
    assert all(abs(sum(key >> bit & 1 for key in keys) - 1000) < 150 for bit in range(63))


def test_a_lone_surrogate_has_a_key():
    assert prompt_key("\ud800") != prompt_key("\ud801")
