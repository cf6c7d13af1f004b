import pytest
import torch
from reference.tiny_models import prompt_batch

from qstar_pl.errors import UserError
from qstar_pl.generation import GenerationModule
from qstar_pl.models import Pretrained
from qstar_pl.samplers import EngineSampler, GeometricSampler, PolicySampler
from qstar_pl.targets import Expert


def test_options_are_checked_before_anything_is_loaded():
    with pytest.raises(UserError, match="target must be given for GeometricSampler"):
        GenerationModule(Pretrained("nowhere"))
    with pytest.raises(UserError, match="samples_per_prompt must be at least 1"):
        GenerationModule(Pretrained("nowhere"), sampler=PolicySampler(), samples_per_prompt=0)


def test_what_the_sampler_has_started_is_let_go_of():
    module = GenerationModule(sampler=EngineSampler(max_new_tokens=2), seed=0)
    module.configure_model()
    module.draw(prompt_batch([[5, 6, 7]]))
    keeper = module.sampler._keeper[0]
    assert keeper.version == 0
    module.teardown("predict")
    assert keeper.version is None


def test_each_model_runs_once_per_token_and_never_for_diagnostics():
    module = GenerationModule(target=Expert(), sampler=GeometricSampler(max_new_tokens=4), samples_per_prompt=2, seed=0)
    module.configure_model()
    for tokens in (module.policy_tokens, module.target.tokens):
        assert tokens.reading.cache  # asked of the weights once, which takes a few passes
        assert tokens.joins  # likewise
    calls = {"policy": 0, "target": 0}
    for name, model in (("policy", module.policy), ("target", module.target.expert)):
        model.register_forward_pre_hook(lambda *_, name=name: calls.update({name: calls[name] + 1}))
    batch = prompt_batch([[5, 6, 7], [8, 9]])
    with torch.inference_mode():
        rollout = module.draw(batch)
    steps = rollout.completion_ids.shape[1]
    assert calls == {"policy": steps, "target": steps}


def test_plain_sampling_runs_the_policy_alone():
    module = GenerationModule(sampler=PolicySampler(max_new_tokens=4), seed=0)
    module.configure_model()
    assert module.policy_tokens.joins  # asked of the weights once, which takes a few passes
    calls = []
    module.policy.register_forward_pre_hook(lambda *_: calls.append(1))
    rollout = module.draw(prompt_batch([[5, 6, 7], [8, 9]]))
    assert len(calls) == rollout.completion_ids.shape[1]
    assert module.fingerprints()["model_t"] is None
