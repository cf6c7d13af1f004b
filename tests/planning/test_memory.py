"""The plan against bytes that are counted."""

import pytest
import torch

from qstar_pl.distributed import Sharding
from qstar_pl.models import FromConfig
from qstar_pl.models.placement import placing
from qstar_pl.planning.configured import _Hollow
from qstar_pl.planning.footprint import activations, footprint
from qstar_pl.planning.memory import Models, Run, peak, plan_memory
from qstar_pl.planning.workload import Workload

SIZES = {"n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 128, "vocab_size": 640}
LLAMA = {
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 640,
}
WORK = Workload(drawn=8, learned=8, passes=1, prompt=20, answer=12)


def saved_bytes(model, rows, length, answer):
    """What a real forward pass keeps, parameters left out."""
    own, kept = {p.untyped_storage().data_ptr() for p in model.parameters()}, {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = (storage.nbytes(), storage)
        return tensor

    ids = torch.randint(0, 640, (rows, length), generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(rows, 1, length, length)
    positions = torch.arange(length).expand(rows, -1)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False, logits_to_keep=answer)
    return sum(size for size, _ in kept.values())


@pytest.mark.parametrize(("kind", "sizes"), [("gpt2", SIZES), ("llama", LLAMA)])
def test_activations_are_what_a_real_pass_keeps(kind, sizes) -> None:
    model = FromConfig(kind, sizes).load()
    planned = activations(model, 8, 32, 12, torch.float32)
    assert 3 * planned.block + planned.rest == pytest.approx(saved_bytes(model, 8, 32, 12), rel=0.02)


@pytest.mark.parametrize(("kind", "sizes", "heads"), [("gpt2", SIZES, 4), ("llama", LLAMA, 2)])
def test_sizes_need_no_memory(kind, sizes, heads) -> None:
    real = footprint(FromConfig(kind, sizes).load())
    with placing(_Hollow()):
        model = FromConfig(kind, sizes).load()
    assert all(parameter.is_meta for parameter in model.parameters())
    assert footprint(model) == real
    assert real.parameter_bytes == 4 * real.parameters == real.trainable_bytes
    assert real.cache_bytes_per_token == 2 * 3 * heads * 16 * 4


def models() -> Models:
    policy, target = FromConfig("gpt2", SIZES).load(), FromConfig("gpt2", SIZES).load().requires_grad_(False)
    return Models(policy, {"reference": target, "target": target}, ("target",))


def test_sharding_divides_what_is_kept_and_adds_what_is_gathered() -> None:
    def plan(ranks, sharding, gathered=True):
        return plan_memory(models(), Run(ranks, sharding, torch.float32, gathered, 8.0, on_cpu=True), WORK)

    whole, halves = plan(1, None), plan(2, Sharding())
    for name, size in whole["always"].items():
        assert halves["always"][name] == size / 2
    size = footprint(models().policy)
    assert whole["always"]["optimizer state"] == 8 * size.parameters
    assert "gathered parameters" not in whole["sampling"]
    assert halves["sampling"]["gathered parameters"] == 2 * 4 * size.parameters  # policy and target
    assert plan(2, Sharding(), gathered=False)["sampling"]["gathered parameters"] == 2 * 4 * size.block_parameters
    again = plan(2, Sharding(activation_checkpointing=True))
    assert again["training"]["activations"] < halves["training"]["activations"]


def test_an_optimizer_keeps_state_of_what_it_moves() -> None:
    """Of a policy with adapters these are few: its base has neither gradients nor moments."""
    made = models()
    for parameter in list(made.policy.parameters())[2:]:
        parameter.requires_grad_(False)
    few = sum(parameter.numel() for parameter in made.policy.parameters() if parameter.requires_grad)
    planned = plan_memory(made, Run(1, None, torch.float32, True, 8.0, on_cpu=True), WORK)["always"]
    assert planned["optimizer state"] == 8 * few
    assert planned["gradients"] == 4 * few
    assert planned["policy"] == footprint(made.policy).parameter_bytes


def test_the_peak_is_the_largest_phase() -> None:
    phases = {"always": {"a": 1.0}, "sampling": {"b": 5.0}, "training": {"c": 2.0, "d": 4.0}}
    assert peak(phases) == ("training", 7.0)
