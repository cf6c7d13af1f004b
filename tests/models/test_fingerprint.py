from pathlib import Path

import pytest
import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

from qstar_pl.models.fingerprint import fingerprint_of


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.bool, torch.int8])
def test_every_element_counts(dtype: torch.dtype) -> None:
    """Also beyond one chunk, and where two of them have changed places."""
    tensor = (torch.arange(2**20 + 3) % 2).to(dtype)
    whole = fingerprint_of([("w", tensor)])
    assert whole == fingerprint_of([("w", tensor.clone())])
    for place in (0, 1, 2**20 - 1, 2**20, 2**20 + 2):
        other = tensor.clone()
        other[place] = 1 - other[place].to(torch.float32)
        assert fingerprint_of([("w", other)]) != whole
    swapped = tensor.clone()
    swapped[[7, 2**20 + 2]] = tensor[[2**20 + 2, 7]]
    assert fingerprint_of([("w", swapped)]) != whole
    assert fingerprint_of([("v", tensor)]) != whole
    assert fingerprint_of([("w", tensor.reshape(1, -1))]) != whole


def test_the_sign_of_zero_and_the_order_of_names() -> None:
    zero = torch.zeros(3)
    assert fingerprint_of([("w", zero)]) != fingerprint_of([("w", -zero)])
    pair = [("a", torch.ones(2)), ("b", torch.zeros(2))]
    assert fingerprint_of(pair) == fingerprint_of(pair[::-1])


def test_parts_are_the_whole(tmp_path: Path) -> None:
    distributed.init_process_group("gloo", (tmp_path / "meeting").as_uri(), rank=0, world_size=1)
    try:
        tensor = torch.randn(5, 3)
        sharded = distribute_tensor(tensor, init_device_mesh("cpu", (1,)), [Shard(0)])
        assert fingerprint_of([("w", sharded)]) == fingerprint_of([("w", tensor)])
    finally:
        distributed.destroy_process_group()
