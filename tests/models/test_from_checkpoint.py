"""Weights, architecture and tokenizer of what a run left."""

from pathlib import Path
from typing import Any

import pytest
import torch

from qstar_pl.cli.layers.checkpoints import KEY
from qstar_pl.errors import UserError
from qstar_pl.models import FromCheckpoint, FromConfig, Pretrained
from qstar_pl.models.from_checkpoint import CONFIG_KEY

SIZE = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 32, "vocab_size": 640}
SOURCE = FromConfig(overrides=SIZE, seed=1)
IDS = torch.tensor([[5, 6, 7, 8]])


def config(argument: str, seed: int = 1) -> dict[str, Any]:
    options = {"class_path": "FromConfig", "init_args": {"overrides": SIZE, "seed": seed}}
    return {"model": {"class_path": "qstar_pl.methods.SFT", "init_args": {argument: options}}}


def write(path: Path, state: dict[str, Any], **contents: Any) -> str:
    torch.save({"state_dict": state, **contents}, path)
    return str(path)


@pytest.fixture
def trained() -> Any:
    return FromConfig(overrides=SIZE, seed=9).load()


@pytest.fixture
def policy(tmp_path: Path, trained: Any) -> str:
    state = {f"policy.{key}": value for key, value in trained.state_dict().items()}
    state["critic.linear.weight"] = torch.zeros(1, 16)
    return write(tmp_path / "policy.ckpt", state, **{CONFIG_KEY: config("policy")})


def test_the_key_is_the_one_that_runs_write() -> None:
    assert CONFIG_KEY == KEY


def test_policy_has_the_checkpoints_weights_on_the_sources_architecture(policy: str, trained: Any) -> None:
    model = FromCheckpoint(policy).load()
    assert not model.training
    assert torch.equal(model(IDS).logits, trained(IDS).logits)
    assert not torch.equal(model(IDS).logits, SOURCE.load()(IDS).logits)
    assert FromCheckpoint(policy).tokenizer().get_vocab() == SOURCE.tokenizer().get_vocab()
    # Each call gives a model of its own: π_θ must not be π_init.
    assert FromCheckpoint(policy).load().transformer.wte.weight is not model.transformer.wte.weight


def test_a_stage_may_start_from_a_stage(policy: str, tmp_path: Path) -> None:
    last = FromConfig(overrides=SIZE, seed=4).load()
    options = {"class_path": "FromCheckpoint", "init_args": {"path": policy}}
    path = write(
        tmp_path / "next.ckpt",
        {f"policy.{key}": value for key, value in last.state_dict().items()},
        **{CONFIG_KEY: {"model": {"init_args": {"policy": options}}}},
    )
    assert torch.equal(FromCheckpoint(path).load()(IDS).logits, last(IDS).logits)


def test_a_policy_lends_a_reward_model_its_backbone(policy: str, trained: Any) -> None:
    model = FromCheckpoint(policy).load_reward()
    assert model.num_labels == 1
    assert torch.equal(model.transformer(IDS)[0], trained.transformer(IDS)[0])
    assert torch.equal(model.score.weight, SOURCE.load_reward().score.weight)
    assert not FromCheckpoint(policy).holds_classifier()


def test_a_reward_models_checkpoint(tmp_path: Path) -> None:
    classifier = FromConfig(overrides=SIZE, seed=7).load_reward()
    state = {f"model.model.{key}": value for key, value in classifier.state_dict().items()}
    source = FromCheckpoint(write(tmp_path / "r.ckpt", state, **{CONFIG_KEY: config("model")}))
    assert source.holds_classifier()
    loaded = source.load_reward().state_dict()
    assert all(torch.equal(value, loaded[key]) for key, value in classifier.state_dict().items())
    with pytest.raises(UserError, match=r"^path must be a checkpoint with a language model, .* reward model"):
        source.load()


def test_a_token_wise_rewards_checkpoint_is_a_language_model(tmp_path: Path, trained: Any) -> None:
    state = {f"model.model.{key}": value for key, value in trained.state_dict().items()}
    source = FromCheckpoint(write(tmp_path / "r.ckpt", state, **{CONFIG_KEY: config("model")}))
    assert not source.holds_classifier()
    assert torch.equal(source.load()(IDS).logits, trained(IDS).logits)


def test_base_replaces_what_a_run_without_the_command_line_does_not_say(tmp_path: Path, trained: Any) -> None:
    path = write(tmp_path / "bare.ckpt", {f"policy.{key}": value for key, value in trained.state_dict().items()})
    with pytest.raises(UserError, match="base must be given"):
        FromCheckpoint(path).load()
    assert torch.equal(FromCheckpoint(path, base=SOURCE).load()(IDS).logits, trained(IDS).logits)


def test_mistakes(tmp_path: Path, policy: str) -> None:
    with pytest.raises(UserError, match="path must name a checkpoint that exists"):
        FromCheckpoint(str(tmp_path / "nowhere.ckpt")).load()
    with pytest.raises(UserError, match="path must be a Lightning checkpoint"):
        FromCheckpoint(str(tmp_path)).load()
    (tmp_path / "text.ckpt").write_text("no checkpoint")
    with pytest.raises(UserError, match="path must be a Lightning checkpoint"):
        FromCheckpoint(str(tmp_path / "text.ckpt")).load()
    with pytest.raises(UserError, match="with a policy or a reward model"):
        FromCheckpoint(write(tmp_path / "other.ckpt", {"net.weight": torch.zeros(1)})).load()
    with pytest.raises(UserError, match="weights of the shape of its source"):
        FromCheckpoint(policy, base=FromConfig(overrides={**SIZE, "n_embd": 8})).load()
    with pytest.raises(UserError, match=r"with \d+ missing"):
        FromCheckpoint(policy, base=FromConfig(overrides={**SIZE, "n_layer": 2})).load()
    unknown = {"model": {"init_args": {"policy": {"class_path": "os.system", "init_args": {}}}}}
    path = write(tmp_path / "odd.ckpt", {"policy.x": torch.zeros(1)}, **{CONFIG_KEY: unknown})
    with pytest.raises(UserError, match=r"with base \(a class that is not of this package\)"):
        FromCheckpoint(path).load()


@pytest.mark.parametrize("round_trip", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_checkpoints_that_lead_to_each_other(round_trip: list[str], tmp_path: Path, trained: Any) -> None:
    state = {f"policy.{key}": value for key, value in trained.state_dict().items()}
    for one, other in zip(round_trip, [*round_trip[1:], round_trip[0]], strict=True):
        stated = {"class_path": "FromCheckpoint", "init_args": {"path": str(tmp_path / f"{other}.ckpt")}}
        if one == "b":  # also through what wraps it
            stated = {"class_path": "LoRA", "init_args": {"base": stated}}
        model = {"class_path": "qstar_pl.methods.SFT", "init_args": {"policy": stated}}
        write(tmp_path / f"{one}.ckpt", state, **{CONFIG_KEY: {"model": model}})
    for call in ("load", "tokenizer", "capabilities", "in_tiny_world", "load_reward"):
        with pytest.raises(
            UserError, match=r"path must lead to a model in the end, got .*a\.ckpt, which leads to itself"
        ):
            getattr(FromCheckpoint(str(tmp_path / "a.ckpt")), call)()


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "harm",))

    path = write(tmp_path / "harm.ckpt", {"policy.x": Harm()})
    with pytest.raises(UserError, match="without code in it"):
        FromCheckpoint(path).load()
    assert not (tmp_path / "harm").exists()


def test_embedded_models_can_be_a_base() -> None:
    assert FromCheckpoint("x.ckpt", base=Pretrained("tiny/policy")).base == Pretrained("tiny/policy")
