"""The project's own decoding as an engine."""

import pytest
import torch
from reference.tiny_models import prompt_batch, random_model

from qstar_pl.errors import UserError
from qstar_pl.models import LanguageModel
from qstar_pl.models.whole_weights import whole_weights
from qstar_pl.rollout import POLICY, Alone, Truncation
from qstar_pl.samplers.engines import Job, LocalEngine


@pytest.fixture
def policy() -> LanguageModel:
    return LanguageModel(random_model(scale=0.3).float())


def test_it_holds_what_was_pushed_and_draws_from_it(policy: LanguageModel) -> None:
    before = torch.random.get_rng_state()
    engine = LocalEngine().start(policy, policy, Alone(POLICY), 8)
    assert torch.equal(torch.random.get_rng_state(), before)
    first = engine.fingerprint()
    held = engine.push(whole_weights(policy.model), 3)
    assert first != held == engine.fingerprint()
    job = Job(prompt_batch([[3, 4], [5]]), 2, 1, 8, Truncation(), policy.eos_token_ids)
    found = engine.generate(job)
    assert found.token_ids.shape == found.mask.shape == found.logprobs.shape
    assert found.columns.keys() == {"policy_logprobs", "alpha", "log_z"}
    with torch.no_grad():
        policy.model.lm_head.weight.mul_(2)
    assert torch.equal(engine.generate(job).logprobs, found.logprobs)  # a copy of its own


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_another_precision(policy: LanguageModel, precision) -> None:
    engine = LocalEngine(precision=precision).start(policy, policy, Alone(POLICY), 8)
    assert engine.dtype == getattr(torch, precision)
    assert engine.push(whole_weights(policy.model), 0).startswith(f"{precision}:")


def test_mistakes(policy: LanguageModel) -> None:
    with pytest.raises(UserError, match="precision must be float32, bfloat16, float16 or null, got int8"):
        LocalEngine(precision="int8")  # type: ignore[arg-type]
    engine = LocalEngine().start(policy, policy, Alone(POLICY), 8)
    with pytest.raises(UserError, match="weights must be those of the policy for an engine, got none for transformer"):
        engine.push(list(whole_weights(policy.model))[1:], 0)
    with pytest.raises(UserError, match="weights must be those of the policy for an engine, got another as well"):
        engine.push([*whole_weights(policy.model), ("another", torch.zeros(1))], 0)
