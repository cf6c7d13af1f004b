import json
from argparse import Namespace
from pathlib import Path

import pytest

from qstar_pl.commands.plan import cluster_of, make_parser

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
    assert always["optimizer state"] == pytest.approx(6_738_415_616 * 8 / 8)
    assert always["optimiser state"] == always["optimizer state"], "the former key, for one release"
    assert "8 × A100-80GB; each 80 GiB" in out
    assert "\nassumed\n" in out
    _, two = plan(qstar, "--gpus=2", *LLAMA, *sharded)
    assert two["memory"]["always"]["policy"] == pytest.approx(4 * always["policy"])
    assert two["peak_bytes"] > eight["peak_bytes"]


def test_what_does_not_fit_is_said_and_not_refused(qstar) -> None:
    out, figures = plan(qstar, "--gpus=1", "--memory_gib=0.1")
    assert "does not fit" in out
    assert figures["verdict"] == "does not fit"
    assert "--data.batch_size=" in out


def test_devices_that_are_none_are_refused_as_fit_does(qstar) -> None:
    code, _, err = qstar("plan", "--trainer.devices=abc")
    assert code == 2
    assert err.splitlines()[-1] == (
        "error: trainer.devices must be auto, a number of them, or numbers such as 0,1, got abc"
    )


def test_methods_without_samples_have_no_sampling(qstar) -> None:
    _, figures = plan(qstar, "--model=DPO", "--data.batch_size=4")
    assert figures["memory"].keys() == {"always", "scoring", "training", "optimizing", "optimising"}
    assert figures["workload"]["learned"] == 8


def test_a_faster_cluster_takes_less_time(qstar) -> None:
    _, slow = plan(qstar, "--gpus=1")
    _, fast = plan(qstar, "--gpus=1", "--tflops=1000", "--memory_gbs=4800")
    assert fast["seconds"]["training"] == pytest.approx(slow["seconds"]["training"] * 312 / 1000)
    assert fast["seconds"]["sampling"] < slow["seconds"]["sampling"]


def test_a_shipped_configuration_needs_no_hub(qstar, repository, monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    config = f"--config={repository}/configs/cluster/qwen2_5_1_5b_q_star.yaml"
    out, figures = plan(qstar, config, "--gpu=rtx4090-24gb", "--answer_tokens=64", "--prompt_tokens=64")
    assert figures["memory"]["always"]["policy"] == pytest.approx(1_543_714_304 * 4 / 8)
    assert figures["memory"]["always"]["target"] == pytest.approx(1_543_714_304 * 2 / 8)
    assert figures["cluster"]["gpu"] == "RTX4090-24GB"
    assert figures["cluster"]["memory_gbs"] == 1008.0
    assert "notice: model.reward.model: reward.ckpt is not there yet" in out
    assert max(map(len, out.splitlines())) <= 80


def test_machines_are_those_of_the_trainer_unless_they_are_named() -> None:
    def machines(devices, *words):
        cluster = cluster_of(make_parser().parse_args(words), Namespace(devices=devices, num_nodes=3))
        return cluster.nodes, cluster.gpus

    assert [machines(devices) for devices in (2, "2", [0, 1, 5], "auto", -1)] == [
        (3, 2),
        (3, 2),
        (3, 3),
        (3, 8),
        (3, 8),
    ]
    assert machines(2, "--nodes=1", "--gpus=4") == (1, 4)


def test_mistakes(qstar) -> None:
    code, _, err = qstar("plan", "--gpus=0")
    assert (code, err.strip()) == (2, "error: gpus must be positive, got 0")
    code, _, err = qstar("plan", "--compute_efficiency=2")
    assert code == 2
    assert "compute_efficiency must be at most 1, got 2.0" in err
    code, _, err = qstar("plan", "--gpu=T4")
    assert code == 2
    assert err.startswith("error: gpu must be one of A100-80GB, ")
    assert err.count("\n") == 1


def test_figures_take_the_place_of_no_configuration(qstar) -> None:
    Path("own.yaml").write_text("trainer:\n  max_steps: 1\n")
    code, _, err = qstar("plan", "--config=own.yaml", "--json=own.yaml")
    assert (code, err) == (2, "error: json must be none of the files that are read, got own.yaml\n")
    assert Path("own.yaml").read_text() == "trainer:\n  max_steps: 1\n"


def test_a_place_that_cannot_be_used_is_refused_before_the_plan(qstar) -> None:
    Path("folder").mkdir()
    code, out, err = qstar("plan", "--json=folder")
    assert (code, out, err) == (2, "", "error: json must name a place that can be used, got folder: Is a directory\n")
