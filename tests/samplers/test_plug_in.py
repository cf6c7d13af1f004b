"""A sampler from outside the package that owns a drafter: exact, trained with by its class path, in no checkpoint."""

from collections import Counter
from contextlib import contextmanager

import pytest
import torch
from reference import enumeration as exact
from reference.block_sampler import BlockSampler
from reference.tiny_models import prompt_batch, random_model, word_tokenizer
from small_run import SMALL

from qstar_pl.methods import QStar
from qstar_pl.models import LanguageModel, Pretrained
from qstar_pl.rollout.pace import Pace

VOCAB, LENGTH, SAMPLES, PROMPT = 6, 3, 4000, [3, 4, 2]


@pytest.mark.parametrize("block", [1, 4])
def test_it_draws_from_the_policy_whatever_the_drafter_says(block, tmp_path) -> None:
    policy, drafter = random_model(vocab=VOCAB), random_model("llama", vocab=VOCAB, seed=1)
    sampler = BlockSampler(block=block, max_new_tokens=LENGTH)
    tokens = LanguageModel(policy.float())
    sampler._tokens[:] = [LanguageModel(drafter.float(), word_tokenizer(vocab=VOCAB))]
    prompts = prompt_batch([PROMPT, [5]], keys=[7, 8])
    rollout = sampler.draw(prompts, tokens, tokens, samples=SAMPLES, seed=1)
    pairs = zip(rollout.completion_ids[:SAMPLES], rollout.completion_mask[:SAMPLES], strict=True)
    counts = Counter(tuple(ids[mask].tolist()) for ids, mask in pairs)
    predict = [exact.predictor(model.double(), PROMPT) for model in (policy, drafter)]
    expected = exact.enumerate_sequences(*predict, exact.policy_only, LENGTH, [1])
    assert exact.g_test(counts, expected) > 1e-6
    assert exact.g_test(counts, exact.enumerate_sequences(*predict, exact.target_only, LENGTH, [1])) < 1e-6
    assert 0 < rollout.info.accepted < rollout.info.drafted
    assert rollout.ended_mask.any()
    # π_θ is its own target here: read in one pass, it says what it said block by block.
    torch.testing.assert_close(rollout.behavior_logprobs, rollout.target_logprobs, atol=1e-4, rtol=1e-4)


def test_it_trains_through_the_command_line(qstar, isolated) -> None:
    command = ["fit", *SMALL, "--trainer.limit_val_batches=0", "--model.sampler=reference.block_sampler.BlockSampler"]
    command += ["--model.sampler.drafter.name=tiny/expert", "--model.sampler.max_new_tokens=8"]
    code, _, err = qstar(*command, "--model.sampler.block=2", "--trainer.max_steps=1")
    assert code == 0, err
    (path,) = isolated.rglob("last.ckpt")
    checkpoint = torch.load(path, weights_only=False)
    assert not [name for name in checkpoint["state_dict"] if name.startswith("sampler")]
    assert "sampler_models" in checkpoint["qstar_models"]
    # Another drafter in a run that goes on is noticed, as another target is.
    again = [*command, "--trainer.max_steps=2", f"--ckpt_path={path}"]
    code, _, err = qstar(*again, "--model.sampler.drafter.name=tiny/policy")
    assert code != 0
    assert "got other weights of the sampler (model.sampler)" in err
    code, _, err = qstar(*again)
    assert code == 0, err


def test_a_candidate_target_is_one_line(qstar) -> None:
    sampler = "--model.sampler=reference.block_sampler.BlockSampler"
    code, _, err = qstar("fit", sampler, "--model.target=CandidateTarget")
    assert code != 0
    wanted = "CandidateTarget, a target that knows no next tokens, got BlockSampler"
    assert err.strip().splitlines()[-1].endswith(wanted)


def test_its_drafter_is_frozen_and_gathered_with_the_target(monkeypatch) -> None:
    sampler = BlockSampler(drafter=Pretrained("tiny/expert"), max_new_tokens=4)
    module = QStar(sampler=sampler, evaluation_sampler=sampler)
    module.configure_model()
    (drafter,) = sampler.models()
    assert list(module.sampler_models) == [drafter]  # built once, though it draws for training and for evaluation
    module.train()
    assert not drafter.training
    assert not any(parameter.requires_grad for parameter in drafter.parameters())
    gathered = []

    @contextmanager
    def generating(models, *_):
        gathered.append(list(models))
        yield Pace()

    monkeypatch.setattr("qstar_pl.distributed.placing.generating", generating)
    module.draw(prompt_batch([[30, 31], [32]]))
    module.draw_for_evaluation(prompt_batch([[30, 31], [32]]))
    assert [drafter in models for models in gathered] == [True, True]
