"""What is read back of a worker's model, packed as on a CPU; without vLLM."""

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from qstar_pl.integrations import vllm_weights
from qstar_pl.integrations.vllm_weights import WeightReceiver, computed_with
from qstar_pl.models.value_fingerprint import value_fingerprint


class Packed(nn.Module):
    """A linear layer that computes with a packed copy, and may keep no other."""

    def __init__(self, weight: torch.Tensor, *, keep: bool) -> None:
        super().__init__()
        self.input_size_per_partition = weight.shape[1]
        packed = weight.detach().clone()
        self.cpu_linear = lambda x, weight, bias: x @ packed.t()
        self.weight = weight if keep else nn.Parameter(weight.new_empty(0))
        self.bias = nn.Parameter(torch.randn(weight.shape[0]))


def model(stale: bool = False) -> nn.Module:
    torch.manual_seed(0)
    table = nn.Parameter(torch.randn(11, 600))
    head = Packed(table, keep=True)
    if stale:
        old = table.detach() * 1.5
        head.cpu_linear = lambda x, weight, bias: x @ old.t()
    inner = Packed(torch.randn(7, 600), keep=False)
    return nn.ModuleDict({"embed": Packed(table, keep=True), "inner": inner, "head": head})


def test_packed_weights_are_read_back_once() -> None:
    torch.manual_seed(0)
    table = torch.randn(11, 600)
    found = list(computed_with(model()))
    assert sorted(tuple(one.shape) for one in found) == [(7,), (7, 600), (11,), (11,), (11, 600)]
    assert torch.equal(next(one for one in found if one.shape == (11, 600)), table)


def test_an_output_head_that_was_packed_before_is_seen() -> None:
    fresh, stale = (value_fingerprint(computed_with(model(kind)), torch.float32) for kind in (False, True))
    assert fresh != stale


def test_a_file_is_taken(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(vllm_weights, "_pack_again", lambda module: None)
    weights = {"b": torch.randn(3), "a": torch.randn(2, 2)}
    save_file(weights, tmp_path / "model.safetensors")
    taken: dict[str, torch.Tensor] = {}
    receiver = WeightReceiver()
    receiver.reload_weights = lambda weights_iterator: taken.update(weights_iterator)
    receiver.model_runner = SimpleNamespace(get_model=model)
    receiver.qstar_load(str(tmp_path / "model.safetensors"))
    assert taken.keys() == weights.keys()
    assert all(torch.equal(taken[name], weights[name]) for name in weights)
    with pytest.raises(Exception, match="No such file"):
        receiver.qstar_load(str(tmp_path / "none.safetensors"))
