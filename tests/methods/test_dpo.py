import math

import pytest
import torch
from recorder import Recorder

from qstar_pl.errors import UserError
from qstar_pl.methods import DPO
from qstar_pl.qstar.losses import IPO, Hinge, Sigmoid


@pytest.mark.parametrize(
    ("loss", "at_zero"),
    [(Sigmoid(), math.log(2)), (Hinge(), 1.0), (IPO(), 25.0), (Sigmoid(label_smoothing=0.2), math.log(2))],
)
def test_first_loss_is_that_of_a_zero_margin(fit, small_data, policy_options, loss, at_zero):
    """π_θ starts at π_init, so every margin is exactly zero: the reference pass and the policy's must agree bitwise."""
    recorder = Recorder()
    fit(DPO(**policy_options, loss=loss, beta=0.1), small_data(), callbacks=[recorder], max_steps=1)
    assert float(recorder.reports[0].loss) == pytest.approx(at_zero, rel=1e-6)
    assert (recorder.reports[0].histograms["margin"] == 0).all()
    assert float(recorder.reports[0].terms["accuracy"]) == 0.5


def test_training_separates_the_pairs(fit, small_data, policy_options):
    recorder = Recorder()
    policy_options["optimizer"] = lambda p: torch.optim.AdamW(p, lr=3e-3)
    fit(DPO(**policy_options, beta=0.5), small_data(), callbacks=[recorder], max_steps=30)
    last = recorder.reports[-5:]
    assert sum(float(report.terms["accuracy"]) for report in last) / 5 > 0.8
    assert sum(float(report.loss) for report in last) / 5 < 0.9 * math.log(2)


def test_margins_are_differences_of_sequence_log_ratios(fit, small_data, policy_options):
    recorder = Recorder()
    module = DPO(**policy_options, beta=0.1)
    fit(module, small_data(), callbacks=[recorder], max_steps=2)
    batch = recorder.batches[0]

    def sequence(model, row, ids, mask):
        prompt = batch.prompts.prompt_ids[row][batch.prompts.prompt_mask[row]]
        answer = ids[row][mask[row]]
        logprobs = model(input_ids=torch.cat([prompt, answer]).unsqueeze(0)).logits[0].log_softmax(-1)
        return float(logprobs[len(prompt) - 1 : -1].gather(-1, answer.unsqueeze(-1)).sum().detach())

    margins = module.margins(batch)
    for row in range(2):
        ratios = []
        for ids, mask in ((batch.chosen_ids, batch.chosen_mask), (batch.rejected_ids, batch.rejected_mask)):
            ratio = module.log_ratios(batch.prompts, ids, mask)[row]
            ratios.append(sequence(module.policy, row, ids, mask) - sequence(module.reference, row, ids, mask))
            assert float(ratio.sum().detach()) == pytest.approx(ratios[-1], abs=1e-4)
        assert float(margins[row].detach()) == pytest.approx(ratios[0] - ratios[1], abs=1e-4)


def test_margins_of_ipo_are_means_over_tokens(fit, small_data, policy_options):
    """Of answers whose lengths differ, so that a sum, or a mean over one common length, would not do."""
    recorder = Recorder()
    module = DPO(**policy_options, beta=0.1, loss=IPO())
    fit(module, small_data(), callbacks=[recorder], max_steps=2)
    batch, reported = recorder.batches[1], recorder.reports[1].histograms["margin"]
    module_before_the_step = DPO(**policy_options, beta=0.1, loss=IPO())
    fit(module_before_the_step, small_data(), max_steps=1)
    lengths = [(int(c.sum()), int(r.sum())) for c, r in zip(batch.chosen_mask, batch.rejected_mask, strict=True)]
    assert any(chosen != rejected and min(chosen, rejected) > 1 for chosen, rejected in lengths)
    with torch.no_grad():
        chosen = module_before_the_step.log_ratios(batch.prompts, batch.chosen_ids, batch.chosen_mask)
        rejected = module_before_the_step.log_ratios(batch.prompts, batch.rejected_ids, batch.rejected_mask)
    expected = [float(c.sum()) / n - float(r.sum()) / m for c, r, (n, m) in zip(chosen, rejected, lengths, strict=True)]
    assert max(map(abs, expected)) > 1e-3
    assert reported.tolist() == pytest.approx(expected, abs=1e-5)


def test_beta_must_be_positive(policy_options):
    with pytest.raises(UserError, match="beta must be positive, got 0"):
        DPO(**policy_options, beta=0.0)
