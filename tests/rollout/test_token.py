"""What a token asks of its device: nothing that has to be waited for."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from reference.operations import decoding, laws, per_token, small_gpt2

from qstar_pl.rollout import Alone, Truncation
from qstar_pl.rollout.law import Law, Mixed
from qstar_pl.rollout.token import drawing
from qstar_pl.samplers import SpeculativeSampler

SELDOM = 100
"""Tokens between two looks: more than are decoded."""


@dataclass(frozen=True)
class Asking(Law):
    """A law that asks something of a tensor."""

    question: Callable

    @property
    def roles(self) -> tuple[str, ...]:
        return ("policy",)

    def __call__(self, logprobs) -> Mixed:
        self.question(logprobs["policy"])
        return Alone("policy")(logprobs)


@pytest.mark.parametrize("name", laws())
def test_no_token_waits(name: str) -> None:
    """Also where rows end on the way, and are computed along until somebody looks."""
    law, truncation = laws()[name]
    models = small_gpt2(0, eos=3), small_gpt2(1, eos=3)
    kernels, waits = per_token(decoding(law, truncation, SELDOM), models, rows=6, tokens=(3, 7))
    assert waits == {}
    assert kernels["gather"] >= 2  # it did count


@pytest.mark.parametrize(
    ("question", "wait"),
    [
        (lambda values: values.sum().item(), "item"),
        (lambda values: float(values.sum()), "__float__"),
        (lambda values: bool(values.isnan().any()), "__bool__"),
        (lambda values: values[:, 0].tolist(), "tolist"),
        (lambda values: (values > 0).nonzero(), "nonzero"),
        (lambda values: values[values > 0], "index by a mask"),
        (lambda values: values.masked_select(values > 0), "masked_select"),
        (lambda values: torch.equal(values, values), "equal"),
    ],
    ids=["item", "float", "bool", "tolist", "nonzero", "mask", "masked_select", "equal"],
)
def test_a_law_that_asks_is_found(question: Callable, wait: str) -> None:
    draw = decoding(Asking(question), Truncation(), SELDOM)
    _, waits = per_token(draw, (small_gpt2(0), small_gpt2(1)), rows=2, tokens=(3, 7))
    assert waits == {wait: 1.0}


def test_a_look_is_one_wait() -> None:
    law, truncation = laws()["KLSymmetricAlpha"]
    models = small_gpt2(0), small_gpt2(1)
    _, waits = per_token(decoding(law, truncation, 2), models, rows=2, tokens=(4, 8))
    assert waits == {"tolist": 0.5}


def test_speculation_waits_a_number_of_times_that_does_not_grow_with_its_rows() -> None:
    """How much of a block was accepted decides what is read and taken back next: that must be known to the loop."""

    def draw(*given, max_new_tokens: int) -> object:
        sampler = SpeculativeSampler(max_new_tokens=max_new_tokens, k=3, mode="always")
        return sampler.draw(*given, samples=1, seed=0)

    few, many = (
        sum(per_token(draw, (small_gpt2(0), small_gpt2(1)), rows=rows, tokens=(4, 14))[1].values()) for rows in (2, 8)
    )
    assert few > 1
    assert many < 2 * few  # a wait for every row would make it four times as many


def test_columns_are_those_of_the_law() -> None:
    law, truncation = laws()["KLSymmetricAlpha"]
    logits = {
        role: torch.randn(3, 20, generator=torch.Generator().manual_seed(seed)) for seed, role in enumerate(law.roles)
    }
    drawn = drawing(law, truncation)(logits, torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64))
    mixed = law({role: said.log_softmax(-1) for role, said in logits.items()})
    assert torch.equal(
        drawn.columns["behavior_logprobs"], mixed.logprobs.gather(-1, drawn.ids.unsqueeze(-1)).squeeze(-1)
    )
    assert {name: values.shape for name, values in drawn.columns.items()} == dict.fromkeys(drawn.columns, (3,))
