import sys

import pytest
import torch

from qstar_pl.errors import UserError
from qstar_pl.optim import AdamW8bit


def test_without_bitsandbytes_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(UserError, match=r"pip install 'qstar-pl\[bitsandbytes\]'"):
        AdamW8bit([torch.nn.Parameter(torch.zeros(1))])


def test_options_reach_bitsandbytes(monkeypatch):
    """With bitsandbytes absent, a module in its place shows what it would be called with."""
    import types

    class Quantised(torch.optim.SGD):
        def __init__(self, params, lr, betas, eps, weight_decay):
            super().__init__(params, lr=lr)
            self.given = (betas, eps, weight_decay)

    module = types.ModuleType("bitsandbytes.optim")
    module.AdamW8bit = Quantised
    monkeypatch.setitem(sys.modules, "bitsandbytes", types.ModuleType("bitsandbytes"))
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", module)
    made = AdamW8bit([torch.nn.Parameter(torch.zeros(1))], lr=0.3, weight_decay=0.2)
    assert type(made) is Quantised
    assert made.param_groups[0]["lr"] == 0.3
    assert made.given == ((0.9, 0.999), 1e-8, 0.2)


def test_moments_take_one_byte():
    pytest.importorskip("bitsandbytes")
    weight = torch.nn.Parameter(torch.ones(64, 128))
    optimizer = AdamW8bit([weight], lr=0.01)
    weight.square().sum().backward()
    optimizer.step()
    assert optimizer.state[weight]["state1"].dtype == torch.uint8
    torch.testing.assert_close(weight.detach(), torch.full((64, 128), 0.99), atol=1e-3, rtol=0)
