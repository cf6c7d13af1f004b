"""The lean activation is transformers' own to the last bit."""

import pytest
import torch
from transformers.activations import NewGELUActivation

from qstar_pl.models import Pretrained
from qstar_pl.models.lean_gelu import LeanGELU, with_lean_gelu

LEAN, OWN = LeanGELU(), NewGELUActivation()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(3, 1, 512), (5, 37, 512), (64, 150, 512), (7,), (0, 4)])
def test_same_bits_and_the_argument_is_left_alone(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0)).mul(4).to(dtype)
    values.view(-1)[:4] = torch.tensor([torch.inf, -torch.inf, torch.nan, -0.0]).to(dtype)[: values.numel()]
    before = values.clone()
    with torch.no_grad():
        lean, own = LEAN(values), OWN(values)
    assert lean.dtype == own.dtype
    assert torch.equal(lean.nan_to_num(99.0), own.nan_to_num(99.0))
    assert torch.equal(values.nan_to_num(99.0), before.nan_to_num(99.0))


def test_same_bits_of_gradients_and_under_autocast() -> None:
    ours, theirs = (torch.linspace(-5, 5, 101, requires_grad=True) for _ in range(2))
    LEAN(ours).square().sum().backward()
    OWN(theirs).square().sum().backward()
    assert torch.equal(ours.grad, theirs.grad)  # type: ignore[arg-type]
    half = torch.randn(40, 64).bfloat16()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert LEAN(half).dtype == OWN(half).dtype
        assert torch.equal(LEAN(half), OWN(half))


def test_loaded_models_have_it_in_their_mode() -> None:
    model = Pretrained("tiny/policy").load()
    found = [part for part in model.modules() if isinstance(part, NewGELUActivation)]
    assert found
    assert all(type(part) is LeanGELU and not part.training for part in found)


def test_derived_activations_stay() -> None:
    class Own(NewGELUActivation):
        pass

    assert type(with_lean_gelu(torch.nn.Sequential(Own()))[0]) is Own
