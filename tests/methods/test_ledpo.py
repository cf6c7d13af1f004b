import math
from pathlib import Path

import pytest
import torch
from recorder import Recorder

from qstar_pl.errors import UserError
from qstar_pl.experiments.curve import curve
from qstar_pl.methods import DPO, LEDPO
from qstar_pl.methods.strategies.beta_head import ReLU, Sigmoid, Softplus
from qstar_pl.run_folders.metrics import read_metrics


def adam(parameters):
    return torch.optim.AdamW(parameters, lr=3e-3, weight_decay=0.1)


def weights_of(module):
    return torch.cat([p.detach().flatten() for p in module.policy.parameters()])


def test_first_step_of_the_policy_is_that_of_dpo(fit, small_data, policy_options):
    modules = [LEDPO(**policy_options, initial_beta=0.3), DPO(**policy_options, beta=0.3)]
    for module in modules:
        fit(module, small_data(), max_steps=1)
    torch.testing.assert_close(weights_of(modules[0]), weights_of(modules[1]), atol=1e-6, rtol=1e-5)


def test_loss_is_dpo_at_each_pairs_beta_plus_the_prior(fit, small_data, policy_options):
    policy_options["optimizer"] = adam
    recorder = Recorder()
    module = LEDPO(**policy_options, initial_beta=0.1, prior_weight=0.7, beta_lr=0.3)
    fit(module, small_data(), callbacks=[recorder], max_steps=3)
    report = recorder.reports[-1]
    betas, margins = report.histograms["beta"].double(), report.histograms["margin"].double()
    assert betas.std() > 1e-4
    prior = 0.7 * (betas / 0.1).log().square().mean()
    assert float(report.terms["prior"]) == pytest.approx(float(prior), rel=1e-4)
    preference = -torch.nn.functional.logsigmoid(betas * margins).mean()
    assert float(report.loss) == pytest.approx(float(preference + prior), rel=1e-4)
    assert float(report.terms["margin"]) == pytest.approx(float((betas * margins).mean()), rel=1e-4, abs=1e-6)


def test_beta_reads_the_prompts_last_token_whatever_the_padding(fit, small_data, policy_options):
    recorder = Recorder()
    module = LEDPO(**policy_options)
    fit(module, small_data(), callbacks=[recorder], max_steps=1)
    torch.nn.init.normal_(module.beta_head.weight, std=5.0)
    prompts = recorder.batches[0].prompts
    betas = module.betas(prompts).detach()
    assert betas.std() > 0.1
    assert not prompts.prompt_mask.all()
    for row in range(len(prompts)):
        ids = prompts.prompt_ids[row][prompts.prompt_mask[row]].unsqueeze(0)
        state = module.policy(input_ids=ids, output_hidden_states=True).hidden_states[-1][0, -1]
        logit = float((module.beta_head.bias + state @ module.beta_head.weight / state.norm()).detach())
        assert float(betas[row]) == pytest.approx(0.01 + math.log1p(math.exp(logit)), rel=1e-4)


@pytest.mark.parametrize("activation", [Sigmoid(), Softplus(), ReLU()])
@pytest.mark.parametrize("beta_scale", [1.0, 10.0])
@pytest.mark.parametrize("dynamic", [True, False])
def test_beta_moves_and_stays_finite(fit, small_data, policy_options, activation, beta_scale, dynamic):
    policy_options["optimizer"] = adam
    recorder = Recorder()
    module = LEDPO(**policy_options, activation=activation, beta_scale=beta_scale, dynamic=dynamic, beta_lr=3e-3)
    fit(module, small_data(), callbacks=[recorder], max_steps=8)
    betas = torch.stack([report.histograms["beta"] for report in recorder.reports])
    assert betas.isfinite().all()
    assert (betas >= 0.01).all()
    assert torch.allclose(betas[0], torch.full_like(betas[0], 0.1))
    assert (betas[-1] - 0.1).abs().max() > 1e-4
    assert (len(betas[-1].unique()) > 1) == dynamic


def test_without_a_prior_beta_drifts_and_the_prior_holds_it(fit, small_data, policy_options):
    """The preference loss alone only ever pushes β up once the pairs are ranked right."""
    policy_options["optimizer"] = adam
    ends = []
    for prior_weight in (0.0, 10.0):
        recorder = Recorder()
        module = LEDPO(**policy_options, dynamic=False, prior_weight=prior_weight, beta_lr=0.1)
        fit(module, small_data(), callbacks=[recorder], max_steps=20)
        ends.append(float(recorder.reports[-1].histograms["beta"].mean()))
    assert ends[0] > 0.2
    assert abs(math.log(ends[1] / 0.1)) < 0.5 * abs(math.log(ends[0] / 0.1))


def test_beta_has_a_group_of_its_own(fit, small_data, policy_options):
    policy_options["optimizer"] = adam
    policy_options["lr_scheduler"] = lambda optimizer: torch.optim.lr_scheduler.ConstantLR(optimizer, 0.5)
    module = LEDPO(**policy_options, beta_lr=0.02)
    trainer = fit(module, small_data(), max_steps=1)
    policy, beta = trainer.optimizers[0].param_groups
    assert (policy["name"], policy["lr"], policy["weight_decay"]) == ("policy", 1.5e-3, 0.1)
    assert (beta["name"], beta["lr"], beta["weight_decay"]) == ("beta", 0.01, 0.0)
    assert {id(p) for p in beta["params"]} == {id(p) for p in module.beta_head.parameters()}
    assert {id(p) for p in policy["params"]} == {id(p) for p in module.policy.parameters()}


def test_beta_does_not_move_the_policy_unless_asked(fit, small_data, policy_options):
    def gradient(detach_hidden):
        recorder = Recorder()
        module = LEDPO(**policy_options, detach_hidden=detach_hidden, beta_lr=0.1)
        fit(module, small_data(), callbacks=[recorder], max_steps=2)
        module.zero_grad()
        betas = module.betas(recorder.batches[0].prompts)
        betas.sum().backward()
        return sum(float(p.grad.abs().sum()) for p in module.policy.parameters() if p.grad is not None)

    assert gradient(True) == 0
    assert gradient(False) > 0


def test_resuming_continues_the_uninterrupted_run(fit, small_data, policy_options, tmp_path):
    policy_options["optimizer"] = adam
    whole = LEDPO(**policy_options, beta_lr=0.1)
    fit(whole, small_data(), max_steps=4)
    first = LEDPO(**policy_options, beta_lr=0.1)
    fit(first, small_data(), max_steps=2).save_checkpoint(tmp_path / "two.ckpt")
    second = LEDPO(**policy_options, beta_lr=0.1)
    fit(second, small_data(), ckpt_path=str(tmp_path / "two.ckpt"), max_steps=4)
    assert torch.equal(weights_of(second), weights_of(whole))
    assert torch.equal(second.beta_head.weight, whole.beta_head.weight)
    assert torch.equal(second.beta_head.bias, whole.beta_head.bias)
    assert not torch.equal(second.beta_head.weight, first.beta_head.weight)


def test_validation_reports_mean_beta(fit, small_data, policy_options):
    module = LEDPO(**policy_options, beta_lr=0.1)
    data = small_data(eval_batch_size=3)
    trainer = fit(module, data, max_steps=2, limit_val_batches=1.0, num_sanity_val_steps=0)
    metrics = trainer.validate(module, data, verbose=False)[0]
    batches = [batch for loader in data.val_dataloader() for batch in loader if hasattr(batch, "chosen_ids")]
    with torch.no_grad():
        betas = torch.cat([module.betas(batch.prompts) for batch in batches])
    assert metrics["val/beta"] == pytest.approx(float(betas.mean()), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["Sigmoid", "Softplus", "ReLU"])
@pytest.mark.parametrize("beta_scale", [1, 10])
@pytest.mark.parametrize("dynamic", ["true", "false"])
def test_every_setting_runs_from_yaml_on_real_rows(repository, real_data, qstar, activation, beta_scale, dynamic):
    code, _, err = qstar(
        "fit",
        f"--config={repository}/configs/experiment/hh_rlhf_smoke_ledpo.yaml",
        f"--data.init_args.path={real_data}/hh_rlhf/helpful-base.test.jsonl.gz",
        "--data.max_rows=300",
        "--trainer.enable_progress_bar=false",
        f"--model.activation={activation}",
        f"--model.beta_scale={beta_scale}",
        f"--model.dynamic={dynamic}",
    )
    assert code == 0, err
    metrics = Path("runs/hh_rlhf_smoke_ledpo/version_0/metrics.csv")
    betas = [beta for _, beta in curve(read_metrics(metrics), "beta/mean")]
    assert len(betas) == 8
    assert betas[0] == pytest.approx(0.1)
    assert all(math.isfinite(beta) and beta >= 0.01 for beta in betas)
    assert betas[-1] != betas[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta_min": 0.0}, "beta_min must be positive"),
        ({"beta_scale": -1.0}, "beta_scale must be positive"),
        ({"beta_lr": 0.0}, "beta_lr must be positive"),
        ({"prior_weight": -1.0}, "prior_weight must be at least 0"),
        ({"initial_beta": 0.005}, "initial_beta must be above beta_min"),
        ({"initial_beta": 1.5, "activation": Sigmoid()}, "initial_beta must lie between"),
    ],
)
def test_bad_options(policy_options, options, message):
    with pytest.raises(UserError, match=message):
        LEDPO(**policy_options, **options)
