"""The divergence from a model that is named: that of π_init where it is π_init."""

import re
from collections.abc import Callable

import pytest

Qstar = Callable[..., tuple[int, str, str]]
SMALL = ("--data.val_limit=3", "--model.evaluation_sampler.max_new_tokens=6", "--model.metrics=[KLPolicyReference]")
FROM = ("--model.metrics+=KLFrom", "--model.metrics.model=Pretrained", "--model.metrics.model.name=tiny/policy")


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
