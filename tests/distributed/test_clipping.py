"""The norm of the whole; what two processes do is in test_sharding.py."""

from types import SimpleNamespace

import pytest
import torch
from torch.distributed.fsdp import FullyShardedDataParallel

from qstar_pl.distributed.clipping import clip_norm


def made_optimizer() -> torch.optim.Optimizer:
    parameters = [torch.nn.Parameter(torch.zeros(2)) for _ in range(2)]
    for parameter in parameters:
        parameter.grad = torch.tensor([3.0, 4.0])
    return torch.optim.SGD([{"params": parameters[:1]}, {"params": parameters[1:]}], lr=0.1)


def gradients(optimizer: torch.optim.Optimizer) -> torch.Tensor:
    return torch.cat([group["params"][0].grad for group in optimizer.param_groups])


@pytest.mark.parametrize(("largest", "expected"), [(5.0, 5.0), (100.0, 50.0**0.5)])
def test_the_norm_is_over_all_groups(largest, expected) -> None:
    optimizer = made_optimizer()
    clip_norm(SimpleNamespace(trainer=SimpleNamespace(strategy=SimpleNamespace(model=None))), optimizer, largest)
    assert float(gradients(optimizer).norm()) == pytest.approx(expected)


def test_the_first_fsdp_clips_by_its_root(monkeypatch) -> None:
    asked = []
    root = FullyShardedDataParallel.__new__(FullyShardedDataParallel)
    monkeypatch.setattr(FullyShardedDataParallel, "clip_grad_norm_", lambda self, largest: asked.append(largest))
    optimizer = made_optimizer()
    clip_norm(SimpleNamespace(trainer=SimpleNamespace(strategy=SimpleNamespace(model=root))), optimizer, 0.5)
    assert asked == [0.5]
    assert float(gradients(optimizer).norm()) == pytest.approx(50.0**0.5)
