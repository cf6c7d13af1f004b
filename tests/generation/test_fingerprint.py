import torch
from torch import nn

from qstar_pl.generation.fingerprint import MOST, fingerprint


def test_any_step_of_training_changes_it_and_nothing_else_does():
    layer = nn.Linear(3, 5)
    first = fingerprint(layer)
    assert first == fingerprint(layer)
    assert len(first) == 16
    copy = nn.Linear(3, 5)
    copy.load_state_dict(layer.state_dict())
    assert fingerprint(copy) == first
    with torch.no_grad():
        copy.bias += 1e-6
    assert fingerprint(copy) != first
    assert fingerprint(layer.to(torch.bfloat16)) != first


def test_large_tensors_are_read_in_part():
    layer = nn.Linear(10 * MOST, 1, bias=False)
    first = fingerprint(layer)
    with torch.no_grad():
        layer.weight *= 1.001
    assert fingerprint(layer) != first
