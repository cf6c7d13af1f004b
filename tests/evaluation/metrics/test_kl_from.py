"""The divergence from a model that is named: that of π_init where it is π_init."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

Qstar = Callable[..., tuple[int, str, str]]
SMALL = ("--data.val_limit=3", "--model.evaluation_sampler.max_new_tokens=6", "--model.metrics=[KLPolicyReference]")
FROM = ("--model.metrics+=KLFrom", "--model.metrics.model=Pretrained", "--model.metrics.model.name=tiny/policy")


OTHER = ("WinRate", "--model.metrics.judge=LengthJudge", "--model.metrics.baseline=OtherModel")


@pytest.mark.parametrize(
    ("metric", "option"), [(("KLFrom",), "model.metrics.model"), (OTHER, "model.metrics.baseline.model")]
)
def test_a_model_that_is_not_there_is_said_before_a_run_folder_is_made(
    qstar: Qstar, isolated: Path, metric: tuple[str, ...], option: str
) -> None:
    model = (f"--model.metrics+={metric[0]}", *metric[1:], f"--{option}=Pretrained", f"--{option}.name=nope/none")
    code, _, err = qstar("fit", "--config=experiment/tiny_sft", "--trainer.max_steps=1", *model)
    assert code == 2
    assert err.startswith(f"error: {option}.name must lead to a tokenizer, got 'nope/none': ")
    assert not Path("runs").exists()


def test_of_a_run_of_one_stage_it_is_the_divergence_from_its_own_start(qstar: Qstar) -> None:
    few = ("--trainer.max_steps=2", "--trainer.val_check_interval=2", "--trainer.num_sanity_val_steps=0")
    code, out, err = qstar(
        "fit", "--config=experiment/tiny_sft", *SMALL, *FROM, *few, "--data.batch_size=4", "--name=first"
    )
    assert code == 0, err
    found = {key: float(value) for key, value in re.findall(r"val/(kl_\S+) +(\S+)", out)}
    assert found["kl_policy_reference"] > 0
    assert found["kl_policy_base"] == pytest.approx(found["kl_policy_reference"], rel=1e-3)

    # A second stage has its own start, and is as far from the first one's.
    start = ("--model.policy=FromCheckpoint", "--model.policy.path=runs/first/version_0/checkpoints/last.ckpt")
    code, out, err = qstar("validate", "--model=SFT", *start, *SMALL, *FROM)
    assert code == 0, err
    later = {key: float(value) for key, value in re.findall(r"val/(kl_\S+) +(\S+)", out)}
    assert later["kl_policy_reference"] == pytest.approx(0, abs=1e-6)
    assert later["kl_policy_base"] == pytest.approx(found["kl_policy_base"], rel=1e-3)
