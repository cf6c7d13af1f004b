"""`torch_compile` of the samplers that draw token by token: the texts and the columns are those of plain decoding."""

from dataclasses import replace

import pytest
import torch
from reference.tiny_models import prompt_batch, random_model

from qstar_pl.errors import UserError
from qstar_pl.models import LanguageModel, fixed_session
from qstar_pl.models.compiling import notice
from qstar_pl.qstar import ESSBalanceAlpha, FixedAlpha, KLSymmetricAlpha
from qstar_pl.rollout import one_pass
from qstar_pl.rollout.trace import COLUMNS
from qstar_pl.samplers import GeometricSampler, PolicySampler, TargetSampler
from qstar_pl.samplers.decoding import DecodingSampler

PROMPTS = [[3, 4, 5, 6], [7, 8], [9], [5, 5, 5]]


def check(sampler: DecodingSampler, family: str, prompts: list[list[int]], samples: int, backend: bool | str) -> None:
    policy, target = (LanguageModel(random_model(family, seed=seed, scale=0.3).float()) for seed in (0, 1))
    batch = prompt_batch(prompts, pads=1)
    ended = []
    for seed in range(2):
        plain = sampler.draw(batch, policy, target, samples=samples, seed=seed)
        compiled = replace(sampler, torch_compile=backend).draw(batch, policy, target, samples=samples, seed=seed)
        assert torch.equal(compiled.completion_ids, plain.completion_ids)
        assert torch.equal(compiled.completion_mask, plain.completion_mask)
        assert torch.equal(compiled.ended_mask, plain.ended_mask)
        for name in COLUMNS:
            torch.testing.assert_close(getattr(compiled, name), getattr(plain, name), rtol=1e-5, atol=1e-5)
        ended.append(plain.ended_mask)
    assert len(prompts) == 1 or torch.cat(ended).any()
    models = {"policy": policy, "target": target}
    assert all(fixed_session._PASSES[models[role].model] for role in sampler.law.roles)


FIXED = GeometricSampler(max_new_tokens=12, alpha=FixedAlpha(0.4), top_k=10, temperature=1.5)


@pytest.mark.parametrize(
    ("sampler", "family", "prompts", "samples"),
    [
        (FIXED, "gpt2", PROMPTS, 2),
        (PolicySampler(max_new_tokens=10), "llama", PROMPTS[:1], 1),
    ],
    ids=["eight rows", "one row"],
)
def test_compiled_texts_and_columns_are_the_plain_ones(sampler, family, prompts, samples, capsys) -> None:
    notice.cache_clear()
    check(sampler, family, prompts, samples, "aot_eager")
    assert capsys.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("prompts", [PROMPTS, PROMPTS[1:2]], ids=["many", "one"])
def test_whatever_the_sampler_the_batch_and_the_family(family: str, prompts: list[list[int]]) -> None:
    for sampler in (
        GeometricSampler(max_new_tokens=12, alpha=KLSymmetricAlpha(), top_p=0.9),
        GeometricSampler(max_new_tokens=12, alpha=ESSBalanceAlpha()),
        TargetSampler(max_new_tokens=12, top_k=5),
    ):
        check(sampler, family, prompts, 2, "aot_eager")


@pytest.mark.slow
def test_by_inductor() -> None:
    check(GeometricSampler(max_new_tokens=12), "gpt2", PROMPTS, 2, True)


def test_a_backend_that_there_is_not() -> None:
    with pytest.raises(UserError, match=r"^torch_compile must be true, false or a backend of torch.compile .*got gcc$"):
        GeometricSampler(torch_compile="gcc")


def test_it_is_no_part_of_what_is_drawn() -> None:
    """So an output that was begun without it may be finished with it."""
    assert GeometricSampler(torch_compile=True).refills == GeometricSampler().refills  # plans, and so finished units
    assert "torch_compile" not in repr(GeometricSampler(torch_compile="aot_eager"))


def test_rows_that_a_compiled_graph_draws_make_no_room_for_others() -> None:
    sampler = GeometricSampler(max_new_tokens=4, alpha=KLSymmetricAlpha(solver="compiled"))
    why = sampler.why_not_refilled(None, None)  # asked before the models are
    assert why == "what a compiled graph says of a row depends on how many there are, in the last digit"


def test_with_the_law_alone_compiled_texts_and_columns_are_the_plain_ones(monkeypatch) -> None:
    """The function stands for its graph here; `tests/rollout/test_one_pass.py` compiles it."""
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    monkeypatch.setattr(one_pass, "_graph", one_pass._Graph)
    policy, target = (LanguageModel(random_model("gpt2", seed=seed, scale=0.3).float()) for seed in (0, 1))
    batch = prompt_batch(PROMPTS, pads=1)
    plain = GeometricSampler(max_new_tokens=6).draw(batch, policy, target, samples=2, seed=0)
    sampler = GeometricSampler(max_new_tokens=6, alpha=KLSymmetricAlpha(solver="compiled"))
    compiled = sampler.draw(batch, policy, target, samples=2, seed=0)
    assert torch.equal(compiled.completion_ids, plain.completion_ids)
    for name in COLUMNS:
        torch.testing.assert_close(getattr(compiled, name), getattr(plain, name), rtol=1e-4, atol=1e-4)
