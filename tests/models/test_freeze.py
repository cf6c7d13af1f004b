import copy
import pickle

import pytest
import torch
from torch import nn

from qstar_pl.models.freeze import eval_mode, freeze


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))


def test_a_frozen_module_stays_in_eval_mode_under_a_training_parent() -> None:
    frozen, free = freeze(network()), network()
    parent = nn.ModuleList([frozen, free]).train()
    assert not frozen.training
    assert not frozen[1].training
    assert free[1].training
    assert parent.training
    assert not any(p.requires_grad for p in frozen.parameters())


def test_a_frozen_module_can_be_copied_and_pickled() -> None:
    frozen = freeze(network())
    for twin in (copy.deepcopy(frozen), pickle.loads(pickle.dumps(frozen))):
        assert twin.train() is twin
        assert not twin[1].training
        torch.testing.assert_close(twin[0].weight, frozen[0].weight)


def test_eval_mode_restores_each_part() -> None:
    module = nn.ModuleList([network(), network()]).train()
    module[1].eval()
    before = [part.training for part in module.modules()]

    def fail() -> None:
        with eval_mode(module):
            assert not any(part.training for part in module.modules())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [part.training for part in module.modules()] == before
