from dataclasses import replace

import pytest
import torch
from recorder import Recorder
from reference.tiny_methods import small_model

from qstar_pl.methods import SFT
from qstar_pl.types import DemonstrationBatch


def test_loss_is_the_negative_log_likelihood_of_the_answers(fit, small_data, policy_options):
    recorder = Recorder()
    module = SFT(**{**policy_options, "optimizer": lambda p: torch.optim.SGD(p, lr=0.0)})
    fit(module, small_data(), callbacks=[recorder], max_steps=1)
    batch: DemonstrationBatch = recorder.batches[0]
    nats = []
    for row in range(len(batch)):
        prompt = batch.prompts.prompt_ids[row][batch.prompts.prompt_mask[row]]
        answer = batch.completion_ids[row][batch.completion_mask[row]]
        ids = torch.cat([prompt, answer]).unsqueeze(0)
        labels = ids.clone()
        labels[:, : len(prompt)] = -100
        # Hugging Face's own loss, on one unpadded row at a time, is a mean over the answer's tokens.
        nats.append(module.policy(input_ids=ids, labels=labels).loss.item() * len(answer))
        assert answer[-1] == module.tokenizer.eos_token_id
    report = recorder.reports[0]
    assert float(report.loss) == pytest.approx(sum(nats) / len(nats), rel=1e-5)
    assert float(report.terms["nats_per_token"]) == pytest.approx(sum(nats) / report.tokens, rel=1e-5)


def test_training_lowers_the_loss(fit, small_data, policy_options):
    recorder = Recorder()
    policy_options["optimizer"] = lambda p: torch.optim.AdamW(p, lr=1e-2)
    fit(SFT(**policy_options), small_data(), callbacks=[recorder], max_steps=25)
    losses = [float(report.terms["nats_per_token"]) for report in recorder.reports]
    assert sum(losses[-3:]) / 3 < 0.8 * losses[0]


def test_dropout_goes_on_with_the_same_random_numbers(fit, small_data, policy_options, tmp_path):
    def module():
        return SFT(**{**policy_options, "policy": replace(small_model(1), dropout=0.3)})

    whole, first, second = module(), module(), module()
    fit(whole, small_data(), max_steps=4)
    fit(first, small_data(), max_steps=2).save_checkpoint(tmp_path / "two.ckpt")
    fit(second, small_data(), ckpt_path=str(tmp_path / "two.ckpt"), max_steps=4)
    for one, other in zip(whole.policy.parameters(), second.policy.parameters(), strict=True):
        assert torch.equal(one, other)
