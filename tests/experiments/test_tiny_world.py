"""The recipe in small: a few steps of each stage, and what is shipped."""

from dataclasses import replace

import torch
from safetensors import safe_open

from qstar_pl.experiments import tiny_world
from qstar_pl.models import Pretrained
from qstar_pl.models.tiny import ASSETS


def test_shipped_models_are_small_and_half_precision():
    size = sum(file.stat().st_size for file in ASSETS.rglob("*") if file.is_file())
    assert size <= 3 * 2**20
    for name in (*tiny_world.LANGUAGE_MODELS, "reward"):
        with safe_open(ASSETS / name / "model.safetensors", "pt") as weights:
            assert {weights.get_tensor(key).dtype for key in weights.keys()} == {torch.float16}  # noqa: SIM118
    parameters = sum(p.numel() for p in Pretrained("tiny/policy").load().parameters())
    assert parameters <= 1_000_000


def test_a_recipe_is_reproducible_and_learns(tmp_path):
    courses = tuple(replace(course, steps=3) for course in tiny_world.POLICY.courses)
    recipe = replace(tiny_world.POLICY, courses=courses)
    for run in ("first", "second"):
        tiny_world.train_language_model(recipe, tmp_path / run)
    bytes_of = [(tmp_path / run / "model.safetensors").read_bytes() for run in ("first", "second")]
    assert bytes_of[0] == bytes_of[1]
    start = tiny_world.architecture(recipe).load().half().state_dict()
    with safe_open(tmp_path / "first" / "model.safetensors", "pt") as weights:
        assert not torch.equal(weights.get_tensor("transformer.wte.weight"), start["transformer.wte.weight"])


def test_expert_is_better_than_policy_and_reward_ranks(qstar):
    """Held-out dialogues: the numbers behind docs/tiny_world.md, with wide margins."""
    scores = {}
    for name in ("policy", "expert"):
        words = [f"--model.policy.name=tiny/{name}", "--data.adapter=TinyWorld", "--data.adapter.seed=7"]
        code, out, err = qstar("validate", "--model=SFT", *words, "--data.val_fraction=0.2", "--data.val_limit=100")
        assert code == 0, err
        scores[name] = float(next(line.split()[-1] for line in out.splitlines() if "reward_gold" in line))
    assert scores["expert"] > scores["policy"] + 0.2
