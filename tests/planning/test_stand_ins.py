"""What is not on this machine is planned by its shape."""

from pathlib import Path

import pytest
from jsonargparse import Namespace

from qstar_pl.errors import UserError
from qstar_pl.models import FromConfig, LoRA
from qstar_pl.planning.known_shape import KnownShape, as_node
from qstar_pl.planning.stand_ins import _as_configured, put_stand_ins


def node(kind: str, **options: object) -> Namespace:
    return Namespace(class_path=f"qstar_pl.models.{kind}", init_args=Namespace(**options))


def hub(name: str) -> Namespace:
    return node("Pretrained", name=name, dtype="bfloat16", attn_implementation="flash_attention_2", dropout=0.0)


def method(**options: object) -> Namespace:
    return Namespace(class_path="qstar_pl.methods.QStar", init_args=Namespace(**options))


def test_where_everything_is_there_nothing_is_replaced(tmp_path: Path) -> None:
    made = method(policy=hub("tiny/policy"), metrics=[node("Pretrained", name=str(tmp_path))], gold=None)
    before = repr(made)
    assert put_stand_ins(made, {}) == []
    assert repr(made) == before


def test_models_of_the_hub_and_checkpoints_to_come(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama", "num_hidden_layers": 3, "dtype": "float16"}')
    made = method(
        policy=node("LoRA", base=hub("meta-llama/Llama-2-7b-hf"), rank=4),
        target=node("Pretrained", name=str(tmp_path)),
        reward=node("FromCheckpoint", path="no.ckpt", base=None),
        gold=node("FromCheckpoint", path="other.ckpt", base=None),
        sampler=[hub("tiny/policy")],
    )
    notices = put_stand_ins(made, {"other.ckpt": {"model_type": "gpt2", "n_layer": 5}})
    assert notices == ["model.reward: no.ckpt is not there yet, so it is planned as large as the policy"]
    args = made.init_args
    policy = args.policy.init_args.base
    assert policy.class_path.endswith(".KnownShape")
    assert policy.init_args.overrides["num_hidden_layers"] == 32
    assert (policy.init_args.dtype, policy.init_args.attn_implementation) == ("bfloat16", "sdpa")
    assert args.reward == policy
    assert args.target.init_args.overrides == {"num_hidden_layers": 3}
    assert args.gold.init_args.overrides == {"n_layer": 5}
    assert args.sampler[0].init_args.name == "tiny/policy"


def test_what_nobody_knows_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=r"^model\.policy\.name must be a folder, or a model .* --shape my/own=SHAPE"):
        put_stand_ins(method(policy=hub("my/own")), {})
    with pytest.raises(UserError, match=r"^model\.policy\.path must be there.* --shape a\.ckpt=SHAPE"):
        put_stand_ins(method(policy=node("FromCheckpoint", path="a.ckpt", base=None)), {})
    with pytest.raises(UserError, match="must lead to an architecture that transformers knows, got nothing"):
        as_node({"model_type": "nothing"}, {}, "shape")


def test_a_stand_in_is_not_of_the_tiny_world() -> None:
    assert not KnownShape("gpt2").in_tiny_world()
    assert FromConfig("gpt2").in_tiny_world()


def test_a_source_can_be_written_as_a_configuration() -> None:
    written = _as_configured(LoRA(base=FromConfig("gpt2"), rank=3))
    assert written.init_args.rank == 3
    assert written.init_args.base.init_args.model_type == "gpt2"
