"""A user's day through the real command: SFT → reward model → DPO → q* → export, from checkpoints alone."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from small_run import SMALL
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from qstar_pl.cli.build import build
from qstar_pl.models import FromCheckpoint
from qstar_pl.models.token_reward_model import TokenRewardModel
from qstar_pl.rewards import RewardModelReward

Call = Callable[..., tuple[int, str, str]]
STEPS = (*SMALL, "--trainer.max_steps=2", "--trainer.limit_val_batches=0")
FAST = ("--model.optimizer=AdamW", "--model.optimizer.lr=0.003")
SHORT = ("--model.sampler.max_new_tokens=4", "--model.samples_per_prompt=2")
IDS = torch.tensor([[5, 6, 7, 8, 9]])
CONFIGS = Path(__file__).parents[3] / "configs"
CLUSTER = sorted((CONFIGS / "cluster").glob("*.yaml"))


def train(qstar: Call, name: str, method: str, *words: str) -> str:
    code, _, err = qstar("fit", *STEPS, *FAST, f"--model={method}", f"--name={name}", *words)
    assert code == 0, err
    return f"runs/{name}/version_0/checkpoints/last.ckpt"


def start(option: str, checkpoint: str) -> tuple[str, str]:
    return f"--model.{option}=FromCheckpoint", f"--model.{option}.path={checkpoint}"


def logits(source: FromCheckpoint) -> torch.Tensor:
    with torch.no_grad():
        result: torch.Tensor = source.load()(IDS).logits
    return result


def walk(qstar: Call, policy: tuple[str, ...], kinds: dict[str, tuple[str, ...]]) -> None:
    """Go the whole way with a policy, once per kind of reward model, and look at what every stage starts from."""
    sft = train(qstar, "sft", "SFT", *policy)
    dpo = train(qstar, "dpo", "DPO", *start("policy", sft))
    for kind, parametrisation in kinds.items():
        reward = train(qstar, f"reward_{kind}", "RewardModeling", *start("model", sft), *parametrisation)
        words = (*start("policy", sft), *start("target.model", dpo), *start("reward.model", reward), *SHORT)
        last = train(qstar, f"q_star_{kind}", "QStar", *words)

        module = build([*STEPS, "--model=QStar", *words]).module
        module.configure_model()
        with torch.no_grad():
            assert torch.equal(module.policy(IDS).logits, logits(FromCheckpoint(sft)))
            assert torch.equal(module.target.expert(IDS).logits, logits(FromCheckpoint(dpo)))
        assert not torch.equal(logits(FromCheckpoint(sft)), logits(FromCheckpoint(dpo)))
        assert isinstance(module.reward, RewardModelReward)
        weights = torch.load(reward, weights_only=True)["state_dict"]
        scorer = module.reward.scorer
        held = {f"model.{name}": value for name, value in scorer.state_dict().items()}
        assert weights.keys() <= held.keys()  # adapters and the head, where there are adapters
        assert all(torch.equal(held[name], value) for name, value in weights.items())
        assert isinstance(scorer, TokenRewardModel) == (kind == "tokens")
        if isinstance(scorer, TokenRewardModel):
            assert scorer.scale == 0.2

        for checkpoint, auto in ((last, AutoModelForCausalLM), (reward, AutoModelForSequenceClassification)):
            if auto is AutoModelForSequenceClassification and kind == "tokens":
                auto = AutoModelForCausalLM
            folder = f"exported_{kind}_{Path(checkpoint).parts[1]}"
            code, out, err = qstar("export", f"--ckpt_path={checkpoint}", f"--output={folder}")
            assert code == 0, err
            assert f"{auto.__name__}.from_pretrained(" in out
            source = FromCheckpoint(checkpoint)
            model = source.load_reward() if source.holds_classifier() else source.load()
            with torch.no_grad():
                torch.testing.assert_close(auto.from_pretrained(folder)(IDS).logits, model(IDS).logits)


KINDS = {
    "scalar": (),
    "tokens": ("--model.parametrisation=Autoregressive", "--model.parametrisation.scale=0.2"),
}


def test_the_tiny_world(qstar: Call) -> None:
    walk(qstar, (), KINDS)


def test_with_adapters(qstar: Call) -> None:
    pytest.importorskip("peft")
    base = ("--model.policy.base=Pretrained", "--model.policy.base.name=tiny/policy")
    walk(qstar, ("--model.policy=LoRA", "--model.policy.rank=2", *base), {"scalar": ()})


@pytest.mark.slow
def test_the_babyllama_pair(real_data: Path, qstar: Call) -> None:
    walk(qstar, (f"--model.policy.name={real_data}/tiny_models/babyllama_a",), KINDS)
    expert = ("--model.target.model=Pretrained", f"--model.target.model.name={real_data}/tiny_models/babyllama_b")
    words = (*start("policy", "runs/sft/version_0/checkpoints/last.ckpt"), *expert)
    reward = start("reward.model", "runs/reward_scalar/version_0/checkpoints/last.ckpt")
    train(qstar, "pair", "QStar", *words, *reward, *SHORT)


def test_a_policy_is_no_reward_model(qstar: Call) -> None:
    sft = train(qstar, "sft", "SFT")
    code, _, err = qstar("fit", *STEPS, *start("reward.model", sft), *SHORT)
    assert code == 2
    assert "reward.model must be a reward model with a trained scalar head" in err


def test_cluster_configurations_take_a_reward_checkpoint(qstar: Call) -> None:
    """Each as it stands but for the models' names, the data and the machines."""
    assert len(CLUSTER) == 4
    reward, expert = train(qstar, "reward", "RewardModeling"), train(qstar, "expert", "DPO")
    for file in CLUSTER:
        options = yaml.safe_load(file.read_text())["model"]["init_args"]
        policy = yaml.safe_load((file.parent / options["policy"]).read_text())["init_args"]["name"]
        target = options["target"]["init_args"]["model"]
        assert target["init_args"].get("name") != policy, file  # π_t is not where π_θ starts
        own = "name=tiny/expert" if target["class_path"] == "Pretrained" else f"path={expert}"
        words = [f"--config={file}", "--trainer.strategy=auto", "--trainer.precision=32-true", *STEPS, *SHORT]
        words += ["--trainer.num_nodes=1", "--trainer.accumulate_grad_batches=1", "--trainer.max_steps=1"]
        words += [
            "--model.policy.name=tiny/policy",
            f"--model.reward.model.path={reward}",
            f"--model.target.model.{own}",
        ]
        words += ["--data.path=tiny", "--data.adapter=TinyWorld", "--data.max_completion_tokens=4"]
        words += ["--data.max_prompt_tokens=64", "--model.evaluation_sampler.max_new_tokens=4"]
        code, _, err = qstar("fit", *words)
        assert code == 0, (file, err)
