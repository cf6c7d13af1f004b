"""An engine's weights: those of the state dict, with adapters added, tied ones once."""

import copy

import pytest
import torch
from reference.tiny_models import random_model

from qstar_pl.models.lora import merge_adapters
from qstar_pl.models.whole_weights import whole_weights


@pytest.mark.parametrize("family", ["gpt2", "llama", "gpt_neox"])
def test_names_and_values_are_those_of_the_state_dict(family: str) -> None:
    model = random_model(family)
    found = dict(whole_weights(model))
    assert found.keys() == {name for name, _ in model.named_parameters()}
    other = random_model(family, seed=1)
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            parameter.copy_(found[name])
    ids = torch.tensor([[3, 4, 5]])
    assert torch.equal(other(ids).logits, model(ids).logits)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_adapters_are_added_and_stay_where_they_are(family: str) -> None:
    peft = pytest.importorskip("peft")
    model = random_model(family)
    plain = copy.deepcopy(model)
    config = peft.LoraConfig(r=2, fan_in_fan_out=family == "gpt2", task_type="CAUSAL_LM", init_lora_weights=False)
    peft.inject_adapter_in_model(config, model)
    model.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    # Copies: merging writes to the tensors that have no adapters, and would to any that were handed out as they are.
    found = {name: values.clone() for name, values in whole_weights(model)}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert found.keys() == {name for name, _ in plain.named_parameters()}
    merge_adapters(model)
    for name, value in model.named_parameters():
        torch.testing.assert_close(found[name], value.detach())
    assert any(not torch.equal(found[name], value) for name, value in plain.named_parameters())
