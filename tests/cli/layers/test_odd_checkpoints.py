"""Checkpoints of an odd form, frozen models that have changed, and disks that are full: one line, nothing lost."""

import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from reference import attacks
from small_run import SMALL

from qstar_pl.checkpoints.damage import find_damage
from qstar_pl.cli import main
from qstar_pl.models import FromConfig

Call = Callable[..., tuple[int, str, str]]
SHORT = (*SMALL, "--trainer.limit_val_batches=0")
GO_ON = ("fit", *SHORT, "--trainer.max_steps=2")


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("honest")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PL_GLOBAL_SEED", "0")
        patch.setenv("QSTAR_DATE", "2000-01-01")
        assert main(["fit", *SHORT, "--model=SFT", "--trainer.max_steps=1", "--name=sft"]) == 0
    yield torch.load(folder / "runs/sft/version_0/checkpoints/last.ckpt", weights_only=True)
    shutil.rmtree(folder)


FREE = ("--model.gold=null", "--model.evaluation_sampler.max_new_tokens=4")
ODD: dict[str, Any] = {
    "pytorch-lightning_version": 7,
    "epoch": -1,
    "global_step": 2**80,
    "state_dict": [1],
    "loops": {"fit_loop": 7},
    "callbacks": ["x"],
    "optimizer_states": [{"state": {}}],
    "lr_schedulers": [7],
    "qstar_config": {"model": 7},
    "qstar_optimizers": {"a": 1},
    "qstar_commands": [7],
    "qstar_learning_rates": "fast",
    "qstar_random_states": [{"torch": 7}],
    "qstar_answer_ends": [-1],
    "qstar_validation_due_after": "soon",
    "qstar_validated_step": "soon",
    "qstar_skipped_steps": "few",
    "qstar_plateau_due": "high",
    "kl_coefficient": "small",
    "qstar_models": {"reward": 7},
}


@pytest.mark.parametrize(
    "key", [*ODD, "a trainer that is a list", "no version", "no state_dict", "moments that are text"]
)
def test_odd_fields_are_one_line(key: str, contents: dict[str, Any], qstar: Call) -> None:
    odd = dict(contents)
    match key:
        case "a trainer that is a list":
            odd = attacks.with_config(contents, trainer=[])
        case "no version":
            del odd["pytorch-lightning_version"]
        case "no state_dict":
            del odd["state_dict"]
        case "moments that are text":
            state = odd["optimizer_states"][0]
            odd["optimizer_states"] = [{**state, "state": {0: {"exp_avg": "x", "exp_avg_sq": "y", "step": "z"}}}]
        case _:
            odd[key] = ODD[key]
    path = attacks.write_file(odd)
    code, out, err = qstar(*GO_ON, f"--ckpt_path={path}")
    assert code == 2, err
    assert "Traceback" not in err + out
    assert len([line for line in err.splitlines() if line.startswith("error:")]) == 1


def small_model(folder: str, seed: int) -> str:
    size = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 256, "vocab_size": 640}
    source = FromConfig(overrides=size, seed=seed)
    source.load().save_pretrained(folder)
    source.tokenizer().save_pretrained(folder)
    return folder


def test_a_frozen_model_that_has_changed_is_named(qstar: Call) -> None:
    small_model("expert", 1)
    short = ("--model.sampler.max_new_tokens=2", "--model.samples_per_prompt=2")
    words = ("fit", *SHORT, "--model=QStar", "--name=run", *short, "--model.target.model.name=expert")
    code, _, err = qstar(*words, "--trainer.max_steps=1")
    assert code == 0, err
    go_on = ("fit", *SHORT, "--trainer.max_steps=2", "--ckpt_path=runs/run/version_0/checkpoints/last.ckpt")
    small_model("expert", 2)
    code, _, err = qstar(*go_on)
    assert code == 2
    line = err.splitlines()[-1]
    assert "got other weights of π_t (model.target) than the checkpoint was trained with" in line
    assert "--accept_changed_models=true" in line
    assert "reward" not in line
    assert qstar(*go_on, "--accept_changed_models=true")[0] == 0
    small_model("expert", 1)
    assert qstar(*go_on)[0] == 0


def test_a_reference_that_has_changed_is_named(qstar: Call) -> None:
    """It comes from the policy's source, while π_θ comes from the checkpoint."""
    small_model("policy", 1)
    own = ("--model.policy=Pretrained", "--model.policy.name=policy", *FREE)
    assert qstar("fit", *SHORT, "--model=SFT", "--name=run", *own, "--trainer.max_steps=1")[0] == 0
    small_model("policy", 2)
    words = ("fit", *SHORT, "--trainer.max_steps=2", "--ckpt_path=runs/run/version_0/checkpoints/last.ckpt")
    assert "the reference (model.policy)" in qstar(*words)[2].splitlines()[-1]


def test_a_base_of_adapters_that_has_changed_is_named(qstar: Call) -> None:
    pytest.importorskip("peft")
    small_model("base", 1)
    lora = ("--model.policy=LoRA", "--model.policy.base=Pretrained", "--model.policy.base.name=base")
    code, _, err = qstar("fit", *SHORT, "--model=SFT", "--name=run", *lora, "--trainer.max_steps=1", *FREE)
    assert code == 0, err
    last = "runs/run/version_0/checkpoints/last.ckpt"
    assert qstar("export", f"--ckpt_path={last}", "--output=same")[0] == 0
    small_model("base", 2)
    code, _, err = qstar("fit", *SHORT, "--trainer.max_steps=2", f"--ckpt_path={last}")
    assert code == 2
    assert "the model under the adapters (model.policy.base)" in err.splitlines()[-1]
    code, _, err = qstar("export", f"--ckpt_path={last}", "--output=other")
    assert code == 2
    assert "trained on other weights; if you mean it, give accept_changed_models=true" in err.splitlines()[-1]
    assert not Path("other").exists()
    assert qstar("export", f"--ckpt_path={last}", "--output=other", "--accept_changed_models")[0] == 0


def test_a_limit_of_file_sizes_leaves_the_checkpoints_that_there_were(qstar: Call, monkeypatch: Any) -> None:
    """EFBIG, as a quota's EDQUOT and a full disk's ENOSPC, in the middle of the second step's checkpoint."""
    save, calls = torch.save, iter(range(100))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limited(*args: Any) -> None:
        if next(calls) == 2:  # each step writes its own and the last
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        save(*args)

    monkeypatch.setattr(torch, "save", limited)
    every = ("--trainer.callbacks=ModelCheckpoint", "--trainer.callbacks.every_n_train_steps=1")
    words = ("fit", *SHORT, "--model=SFT", "--name=run", *every, "--trainer.callbacks.save_last=true")
    try:
        code, out, err = qstar(*words, "--trainer.max_steps=3")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 2, err
    assert "Traceback" not in err + out
    assert "written" in err.splitlines()[-1] or "too large" in err.splitlines()[-1]
    left = sorted(Path("runs/run/version_0/checkpoints").iterdir())
    assert left
    assert all(path.suffix == ".ckpt" and find_damage(path) is None for path in left), left
    monkeypatch.setattr(torch, "save", save)
    assert qstar(*words, "--trainer.max_steps=2", "--ckpt_path=last")[0] == 0
