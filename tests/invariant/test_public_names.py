"""What `help` lists, and what the functions say of arrays."""

import importlib
import inspect
import re

import numpy as np
import pytest
import torch

import qstar_pl
from qstar_pl import qstar
from qstar_pl.errors import UserError

LINE = re.compile(r"^    ([\w.]+)  +\S", re.MULTILINE)
PAIR = {name: torch.tensor([[0.2, 0.8]]).log() for name in ("policy_logprobs", "target_logprobs")}
KINDS = {"Tensor": torch.tensor([[0.2, 0.8]]).log(), "AlphaStrategy": qstar.FixedAlpha(0.5)}
"""Type of an argument → a value of it."""


def public(module) -> list[str]:
    named = getattr(module, "__all__", None)
    return named or [name for name, one in vars(module).items() if name[0] != "_" and not inspect.ismodule(one)]


@pytest.mark.parametrize("module", [qstar_pl, qstar], ids=["qstar_pl", "qstar"])
def test_help_lists_everything_public_on_a_line(module) -> None:
    listed = LINE.findall(module.__doc__)
    assert {name for name in listed if not name.startswith("qstar_pl.")} == set(public(module))
    assert len(set(listed)) == len(listed)
    assert max(map(len, module.__doc__.splitlines()[1:])) <= 80
    for name in listed:
        assert importlib.import_module(name) if name.startswith("qstar_pl.") else hasattr(module, name)


def functions() -> list[str]:
    return [name for name in public(qstar) if inspect.isfunction(getattr(qstar, name))]


@pytest.mark.parametrize("name", functions())
def test_arrays_and_lists_are_refused_in_one_line(name: str) -> None:
    function = getattr(qstar, name)
    tensors = [
        one.name
        for one in inspect.signature(function).parameters.values()
        if one.default is inspect.Parameter.empty and "Tensor" in str(one.annotation)
    ]
    good = dict.fromkeys(tensors, PAIR["policy_logprobs"])
    others = {"alpha": qstar.FixedAlpha(0.5)} if name == "mix_candidates" else {}
    if name == "geometric_mixture":
        good["alpha"] = torch.tensor(0.5)
    function(**good, **others)
    for bad, kind in ((np.array([[0.5, 0.5]]), "numpy.ndarray"), ([[0.5, 0.5]], "list")):
        for one in tensors:
            with pytest.raises(UserError) as caught:
                function(**{**good, one: bad}, **others)
            assert str(caught.value) == f"{one} must be a torch.Tensor, got {kind}; torch.as_tensor makes one"


def test_strategies_refuse_them_too() -> None:
    array = np.log(np.array([[0.5, 0.5]]))
    for strategy in (qstar.FixedAlpha(0.5), qstar.EntropyAlpha(), qstar.KLSymmetricAlpha(), qstar.SNRAlpha()):
        with pytest.raises(UserError, match=r"policy_logprobs must be a torch\.Tensor, got numpy\.ndarray"):
            strategy(array, array)
    with pytest.raises(UserError, match=r"rewards must be a torch\.Tensor, got list"):
        qstar.BestOfN()(PAIR["policy_logprobs"], [[1.0, 2.0]])
