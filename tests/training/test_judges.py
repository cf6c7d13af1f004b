"""The tiny world's rewards are defaults in the tiny world alone; elsewhere a run asks for one."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from small_run import SMALL

from qstar_pl.data import RLHFDataModule
from qstar_pl.data.adapters.prompt_response import PromptResponse
from qstar_pl.methods import DPO, PPO, SFT, QStar
from qstar_pl.models import Pretrained
from qstar_pl.rewards import GoldReward, Reward, RewardModelReward, WeightedSum
from qstar_pl.targets import CandidateTarget, TopKRewardTilted
from qstar_pl.tiny_world.gold_formula import gold_reward

Call = Callable[..., tuple[int, str, str]]
ROWS = [{"prompt": f"What is {n} and {n}?", "response": f"It is {2 * n}."} for n in range(40)]
PAIRS = [
    {"chosen": f"\n\nHuman: {n}?\n\nAssistant: yes", "rejected": f"\n\nHuman: {n}?\n\nAssistant: no"} for n in range(40)
]
FAST = (*SMALL, "--trainer.max_steps=1", "--trainer.limit_val_batches=0")


@pytest.fixture
def rows(isolated: Path) -> Path:
    """Data of one's own."""
    path = isolated / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


@pytest.fixture
def pairs(isolated: Path) -> Path:
    path = isolated / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in PAIRS))
    return path


@pytest.fixture
def own_policy(isolated: Path) -> Path:
    """A model of one's own; that it speaks the tiny world's language is its own affair."""
    folder = isolated / "own"
    Pretrained("tiny/policy").load().save_pretrained(folder)
    Pretrained("tiny/policy").tokenizer().save_pretrained(folder)
    return folder


def columns(kind: str) -> set[str]:
    (path,) = Path("runs").glob(f"{kind}/version_0/metrics.csv")
    return set(path.read_text().splitlines()[0].split(","))


def refused(called: tuple[int, str, str]) -> str:
    code, _, err = called
    assert code == 2, err
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    return line


def test_own_data_need_a_reward_of_their_own(qstar: Call, pairs: Path) -> None:
    for method in ("QStar", "PPO", "RejectionSampling"):
        line = refused(qstar("fit", *FAST, f"--model={method}", f"--data.path={pairs}"))
        assert f"reward.model must be given for {method} on data of your own" in line
        assert "--model.reward.model=FromCheckpoint" in line


def test_an_own_policy_needs_one_too(qstar: Call, own_policy: Path) -> None:
    line = refused(qstar("fit", *FAST, f"--model.policy.name={own_policy}"))
    assert "reward.model must be given for QStar on a policy of your own" in line


def test_what_was_asked_for_is_taken(qstar: Call, pairs: Path) -> None:
    words = ("--model.sampler.max_new_tokens=4", "--model.reward.model.name=tiny/reward")
    code, _, err = qstar("fit", *FAST, f"--data.path={pairs}", *words)
    assert code == 0, err
    assert "reward/proxy" in columns("q_star")
    assert "reward/gold" not in columns("q_star")  # the heuristic was not asked for


def test_methods_that_only_watch_rewards_do_without(qstar: Call, pairs: Path) -> None:
    words = (
        "--trainer.limit_val_batches=1",
        "--trainer.val_check_interval=1",
        "--model.evaluation_sampler.max_new_tokens=4",
    )
    code, _, err = qstar("fit", *FAST, "--model=DPO", f"--data.path={pairs}", *words)
    assert code == 0, err
    assert "val/completion_length" in columns("dpo")
    assert not {"val/reward_proxy", "val/reward_gold"} & columns("dpo")
    code, _, err = qstar("fit", *FAST, "--model=SFT", f"--data.path={pairs}", "--model.gold.heuristic=true", *words)
    assert code == 0, err
    assert "val/reward_gold" in columns("sft")


def test_the_tiny_world_keeps_its_own(qstar: Call) -> None:
    code, _, err = qstar("fit", *FAST, "--model.sampler.max_new_tokens=4")
    assert code == 0, err
    assert {"reward/proxy", "reward/gold"} <= columns("q_star")


class Sevens(Reward):
    """Worth of an answer: how often it says 7."""

    def score(self, rollout: Any, completions: Any) -> Any:
        return rollout.behavior_logprobs.new_tensor([text.count("7") for text in completions])


@dataclass(frozen=True)
class Sums(PromptResponse):
    """Rows that know who judges them."""

    def default_reward(self) -> Reward:
        return Sevens()


def test_an_adapter_suggests_a_reward(fit: Callable[..., Any], rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for module in (QStar(samples_per_prompt=2), PPO(), SFT()):
        fit(module, RLHFDataModule(str(rows), adapter=Sums("prompt", "response"), max_completion_tokens=8), max_steps=1)
        assert isinstance(module.reward, Sevens)
        assert module.gold is None
        assert "Reward: Sevens" in capsys.readouterr().out
    stated = WeightedSum([Sevens(), RewardModelReward(Pretrained("tiny/reward"))], [1.0, 1.0])
    module = SFT(reward=stated, gold=GoldReward(heuristic=True))
    fit(module, RLHFDataModule(str(rows), adapter=Sums("prompt", "response")), max_steps=1)
    assert module.reward is stated
    assert isinstance(module.gold, GoldReward)


def test_a_reward_within_a_target_is_asked_for_too(qstar: Call, pairs: Path) -> None:
    reward = "--model.reward.model.name=tiny/reward"
    for target, option in ((("CandidateTarget",), "reward.model"), (("TopKRewardTilted", "model.name=tiny"), "model")):
        words = [f"--model.target{'.' if '=' in word else '='}{word}" for word in target]
        words += ["--model.sampler=CandidateSetSampler"] if target[0] == "CandidateTarget" else []
        line = refused(qstar("fit", *FAST, f"--data.path={pairs}", reward, *words))
        assert f"target.{option} must be given" in line
    assert CandidateTarget(reward=RewardModelReward(Pretrained("tiny/reward"))).left_to_default() is None
    assert TopKRewardTilted(Pretrained("tiny/reward")).left_to_default() is None
    assert DPO().gold is not None
    assert gold_reward("Hi", "Hello", {"source": "x"}) >= 0  # still there for those who ask
