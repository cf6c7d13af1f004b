import json
from pathlib import Path

import pytest

LLAMA = [
    "--model.policy=FromConfig",
    "--model.policy.model_type=llama",
    "--model.policy.overrides={hidden_size: 4096, intermediate_size: 11008, num_hidden_layers: 32, vocab_size: 32000}",
    "--model.reward=GoldReward",
]


def plan(qstar, *words):
    code, out, err = qstar("plan", "--json=plan.json", *words)
    assert code == 0, err
    return out, json.loads(Path("plan.json").read_text())


def test_seven_billion_parameters_are_planned_without_them(qstar) -> None:
    sharded = ("--trainer.strategy.class_path=FSDP2Strategy", "--trainer.strategy.sharding.param_dtype=bfloat16")
    out, eight = plan(qstar, *LLAMA, *sharded)
    always = eight["memory"]["always"]
    assert always["policy"] == pytest.approx(6_738_415_616 * 4 / 8)
    assert always["optimiser state"] == pytest.approx(6_738_415_616 * 8 / 8)
    assert "80 GiB" in out
    assert "assumed:" in out
    _, two = plan(qstar, "--gpus=2", *LLAMA, *sharded)
    assert two["memory"]["always"]["policy"] == pytest.approx(4 * always["policy"])
    assert two["peak_bytes"] > eight["peak_bytes"]


def test_what_does_not_fit_is_said_and_not_refused(qstar) -> None:
    out, _ = plan(qstar, "--gpus=1", "--memory_gib=1", *LLAMA)
    assert "does not fit" in out


def test_devices_that_are_none_are_refused_as_fit_does(qstar) -> None:
    code, _, err = qstar("plan", "--trainer.devices=abc")
    assert code == 2
    assert err.splitlines()[-1] == (
        "error: trainer.devices must be auto, a number of them, or numbers such as 0,1, got abc"
    )


def test_methods_without_samples_have_no_sampling(qstar) -> None:
    _, figures = plan(qstar, "--model=DPO", "--data.batch_size=4")
    assert figures["memory"].keys() == {"always", "scoring", "training", "optimising"}
    assert figures["workload"]["learned"] == 8


def test_a_faster_cluster_takes_less_time(qstar) -> None:
    _, slow = plan(qstar, "--gpus=1")
    _, fast = plan(qstar, "--gpus=1", "--tflops=1000", "--memory_gbs=4800")
    assert fast["seconds"]["training"] == pytest.approx(slow["seconds"]["training"] * 312 / 1000)
    assert fast["seconds"]["sampling"] < slow["seconds"]["sampling"]


def test_mistakes(qstar) -> None:
    code, _, err = qstar("plan", "--gpus=0")
    assert (code, err.strip()) == (2, "error: gpus must be positive, got 0")
    code, _, err = qstar("plan", "--compute_efficiency=2")
    assert code == 2
    assert "compute_efficiency must be at most 1, got 2.0" in err
