import math

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from recorder import Recorder

from qstar_pl.callbacks import PreferenceDiagnostic
from qstar_pl.errors import UserError
from qstar_pl.methods import DPO, LEDPO
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
            ratio = module.answer_logprobs(batch.prompts, ids, mask).log_ratios()[row]
            ratios.append(sequence(module.policy, row, ids, mask) - sequence(module.reference, row, ids, mask))
            assert float(ratio.detach()) == pytest.approx(ratios[-1], abs=1e-4)
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
        pairs = module_before_the_step.pair_logprobs(batch)
        chosen, rejected = (answer.policy - answer.reference for answer in (pairs.chosen, pairs.rejected))
    expected = [float(c.sum()) / n - float(r.sum()) / m for c, r, (n, m) in zip(chosen, rejected, lengths, strict=True)]
    assert max(map(abs, expected)) > 1e-3
    assert reported.tolist() == pytest.approx(expected, abs=1e-5)


def test_beta_must_be_positive(policy_options):
    with pytest.raises(UserError, match="beta must be positive, got 0"):
        DPO(**policy_options, beta=0.0)


def of_whole_pairs(module, batches):
    """The means over all pairs, by forward passes over each text alone."""
    found = []
    for batch in batches:
        betas = torch.as_tensor(module.betas(batch.prompts) if isinstance(module, LEDPO) else module.beta)
        for row, beta in enumerate(betas.expand(len(batch)).tolist()):
            prompt = batch.prompts.prompt_ids[row][batch.prompts.prompt_mask[row]]
            rewards, logps = [], []
            for ids, mask in ((batch.chosen_ids, batch.chosen_mask), (batch.rejected_ids, batch.rejected_mask)):
                answer, sums = ids[row][mask[row]], []
                for model in (module.policy, module.reference):
                    logprobs = model(input_ids=torch.cat([prompt, answer])[None]).logits[0].log_softmax(-1)
                    sums.append(float(logprobs[len(prompt) - 1 : -1].gather(-1, answer[:, None]).sum()))
                rewards.append(beta * (sums[0] - sums[1]))
                logps.append(sums[0])
            found.append([*rewards, rewards[0] - rewards[1], float(rewards[0] > rewards[1]), *logps])
    keys = ("rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies", "logps/chosen")
    means = [sum(column) / len(found) for column in zip(*found, strict=True)]
    return dict(zip((*keys, "logps/rejected"), means, strict=True))


@pytest.mark.parametrize("make", [DPO, LEDPO, lambda **options: DPO(loss=IPO(), **options)])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_rewards_and_logps_are_means_over_pairs(fit, small_data, policy_options, make, accumulate):
    """Of whole answers also under IPO, over all micro-batches, in training and in validation."""
    recorder, wanted = Recorder(), []

    class BeforeTheStep(Callback):
        def on_train_batch_end(self, trainer, pl_module, *_):
            if trainer.global_step == 1 and not wanted:  # the weights of the second step, whose pairs are not seen yet
                wanted.append([parameter.clone() for parameter in pl_module.parameters()])

    module = make(**policy_options)
    callbacks = [recorder, BeforeTheStep(), PreferenceDiagnostic()]
    options = {"max_steps": 2, "log_every_n_steps": 1, "accumulate_grad_batches": accumulate}
    trainer = fit(module, small_data(), callbacks=callbacks, **options)
    logged = {key: float(value) for key, value in trainer.callback_metrics.items()}
    with torch.no_grad():
        for parameter, value in zip(module.parameters(), wanted[0], strict=True):
            parameter.copy_(value)
        assert logged == pytest.approx(of_whole_pairs(module, recorder.batches[accumulate:]), abs=1e-4)

    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False)
    measured = trainer.validate(module, small_data(eval_batch_size=3), verbose=False)[0]
    batches = list(trainer.val_dataloaders[2])
    with torch.no_grad():
        expected = of_whole_pairs(module, batches)
    assert {key: measured[f"val/{key}"] for key in expected} == pytest.approx(expected, abs=1e-4)
