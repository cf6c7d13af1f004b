import math

import pytest
import torch

from qstar_pl.checkpoints.finite import all_finite, first_not_finite, states_of


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_one_wrong_entry_anywhere_is_found_and_named(dtype, value) -> None:
    tensors = {f"layer{i}.weight": torch.ones(3, 5, dtype=dtype) for i in range(4)}
    assert bool(all_finite(tensors.values()))
    assert first_not_finite(tensors.items()) is None
    tensors["layer2.weight"][1, 4] = value
    assert not bool(all_finite(tensors.values()))
    name, found = first_not_finite(tensors.items())
    assert name == "layer2.weight"
    assert found == value or (math.isnan(found) and math.isnan(value))


@pytest.mark.parametrize(
    ("value", "dtype", "sound"),
    [
        (1e30, torch.float32, False),  # a number whose square is none
        (-1e30, torch.bfloat16, False),
        (1e18, torch.float32, True),
        (1e18, torch.bfloat16, True),
        (6e4, torch.float16, True),  # its norm would not fit into float16
        (1e100, torch.float64, True),
    ],
)
def test_what_is_too_large_to_go_on_with(value, dtype, sound) -> None:
    tensor = torch.full((9,), value, dtype=dtype)
    assert bool(all_finite([torch.zeros(2), tensor])) == sound
    assert (first_not_finite([("w", tensor)]) is None) == sound
    if not sound:
        assert first_not_finite([("w", tensor)]) == ("w", pytest.approx(value, rel=1e-2))


def test_nothing_and_integers_and_empty_shards_are_fine() -> None:
    assert bool(all_finite([]))
    assert bool(all_finite([torch.tensor([3]), torch.empty(0), torch.ones(2, requires_grad=True)]))


def test_what_an_optimizer_keeps_is_named() -> None:
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.AdamW([weight], lr=0.1)
    weight.grad = torch.tensor([1.0, 2.0])
    optimizer.step()
    assert first_not_finite(states_of([optimizer], {weight: "weight"})) is None
    optimizer.state[weight]["exp_avg_sq"][0] = math.inf
    assert first_not_finite(states_of([optimizer], {weight: "weight"})) == (
        "the optimizer's exp_avg_sq of weight",
        math.inf,
    )
