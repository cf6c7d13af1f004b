"""What a run writes down of its rewards is what judged its answers."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
import yaml
from small_run import SMALL

Call = Callable[..., tuple[int, str, str]]
RUN = Path("runs/q_star/version_0")
SHORT = ("--model.samples_per_prompt=2", "--model.sampler.max_new_tokens=4", "--trainer.limit_val_batches=0")


def reward_in(config: dict) -> tuple[str, object]:
    arguments = config["model"]["init_args"]
    return arguments["reward"]["class_path"].rpartition(".")[2], arguments["gold"]


def test_a_reward_that_the_data_suggest(qstar: Call) -> None:
    rows = [{"question": f"What is {n} + 1?", "answer": f"Count on.\n#### {n + 1}"} for n in range(40)]
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ("fit", *SMALL, *SHORT, "--data.path=rows.jsonl")
    code, out, err = qstar(*words, "--trainer.max_steps=1")
    assert code == 0, err
    assert out.count("Reward: FinalAnswerReward, which knows these data") == 1
    assert reward_in(yaml.safe_load((RUN / "config.yaml").read_text())) == ("FinalAnswerReward", None)
    assert yaml.safe_load((RUN / "hparams.yaml").read_text())["model.reward"] == "FinalAnswerReward"
    # The run goes on, and another one begins from its file, with that reward.
    code, out, err = qstar("fit", f"--config={RUN}/config.yaml", "--name=again")
    assert (code, "Reward: " in out) == (0, False), err
    code, _, err = qstar(*words, "--trainer.max_steps=2", "--ckpt_path=last")
    assert code == 0, err
    stored = torch.load(RUN / "checkpoints" / "last.ckpt", weights_only=True)
    (config,) = [value for key, value in stored.items() if isinstance(value, dict) and "model" in value]
    assert reward_in(config) == ("FinalAnswerReward", None)


def test_rewards_that_were_named_or_are_the_tiny_worlds_stay(qstar: Call) -> None:
    assert qstar("fit", *SMALL, *SHORT, "--trainer.max_steps=1")[0] == 0
    arguments = yaml.safe_load((RUN / "config.yaml").read_text())["model"]["init_args"]
    assert arguments["reward"]["class_path"].endswith("RewardModelReward")
    assert arguments["reward"]["init_args"]["model"]["init_args"]["name"] == "tiny"
    assert arguments["gold"]["class_path"].endswith("GoldReward")
