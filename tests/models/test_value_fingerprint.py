"""The same letters for the same values in another layout, others for one bit of one weight."""

import pytest
import torch

from qstar_pl.models.value_fingerprint import value_fingerprint

F32 = torch.float32


def test_layout_names_zeros_and_chunks_do_not_count(monkeypatch) -> None:
    torch.manual_seed(0)
    query, key = torch.randn(8, 5), torch.randn(8, 5)
    found = value_fingerprint([query, key], F32)
    assert found.startswith("float32:")
    assert value_fingerprint([torch.cat([key.t(), query.t()], dim=1)], F32) == found
    assert value_fingerprint([query, torch.cat([key, torch.zeros(3, 5), -torch.zeros(1, 5)])], F32) == found
    monkeypatch.setattr("qstar_pl.models.value_fingerprint._CHUNK", 7)
    assert value_fingerprint([query, key], F32) == found


def test_one_weight_that_changes_by_one_bit_is_seen() -> None:
    torch.manual_seed(0)
    weights = torch.randn(1000)
    found = {value_fingerprint([weights], F32)}
    for place in range(50):
        changed = weights.clone()
        changed[place] = torch.nextafter(changed[place], torch.tensor(9.0))
        found.add(value_fingerprint([changed], F32))
    assert len(found) == 51
    # Changes that a plain sum of bits would not notice.
    swapped = weights.clone()
    swapped.view(torch.int32)[0] += 1
    swapped.view(torch.int32)[1] -= 1
    assert value_fingerprint([swapped], F32) not in found


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_what_was_rounded_is_what_rounding_gives(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    weights = torch.randn(300)
    found = value_fingerprint([weights], dtype)
    assert value_fingerprint([weights.to(dtype)], dtype) == found
    assert value_fingerprint([weights.to(dtype).float()], dtype) == found
    assert value_fingerprint([weights], F32) != found
