"""Nothing that is read runs code: attacks × commands, each through the real command line."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from reference import attacks
from small_run import SMALL

from qstar_pl.cli import main

Call = Callable[..., tuple[int, str, str]]
SHORT = ("--model.evaluation_sampler.max_new_tokens=2", "--trainer.limit_val_batches=0", "--trainer.max_steps=1")
SFT = ("fit", *SMALL, *SHORT, "--model=SFT")
ON_CHECKPOINTS: dict[str, tuple[str, ...]] = {
    "fit": ("fit", *SMALL, "--trainer.max_steps=2", "--ckpt_path={}"),
    "validate": ("validate", *SMALL, "--ckpt_path={}"),
    "test": ("test", *SMALL, "--ckpt_path={}"),
    "predict": ("predict", *SMALL, "--ckpt_path={}"),
    "export": ("export", "--ckpt_path={}", "--output=out"),
    "generate": ("generate", "--model_theta={}", "--num_samples=1", "--max_new_tokens=1", "--output=out.jsonl"),
    "next stage": (*SFT, "--model.policy=FromCheckpoint", "--model.policy.path={}"),
}
ON_MODELS: dict[str, tuple[str, ...]] = {
    "fit": (*SFT, "--model.policy=Pretrained", "--model.policy.name={}", "--model.reward=null", "--model.gold=null"),
    "generate": ON_CHECKPOINTS["generate"],
    "theory": ("theory", "--policy={}", "--target=tiny/expert"),
}
ON_DATA: dict[str, tuple[str, ...]] = {
    "data": ("data", "--path={}"),
    "generate": ("generate", "--model_theta=tiny/policy", "--dataset={}", "--output=out.jsonl"),
    "fit": (*SFT, "--data.path={}"),
}


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What a checkpoint of one step holds."""
    folder = tmp_path_factory.mktemp("honest")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("PL_GLOBAL_SEED", "0")
        patch.setenv("QSTAR_DATE", "2000-01-01")
        assert main([*SFT, "--name=sft"]) == 0
    yield torch.load(folder / "runs/sft/version_0/checkpoints/last.ckpt", weights_only=True)
    shutil.rmtree(folder)


def outcome(qstar: Call, words: tuple[str, ...], path: Path) -> tuple[int, list[str]]:
    """Run a command on what an attacker wrote; return its exit code and what it said on stderr, without notices."""
    code, out, err = qstar(*(word.format(path) for word in words))
    assert not Path(attacks.CANARY).exists(), "code was run"
    assert "Traceback" not in err + out
    return code, [line for line in err.splitlines() if line.startswith("error:")]


@pytest.mark.parametrize("command", ON_CHECKPOINTS)
@pytest.mark.parametrize("attack", attacks.ANY_COMMAND, ids=lambda attack: attack.__name__)
def test_no_checkpoint_runs_code(attack: Any, command: str, contents: dict[str, Any], qstar: Call) -> None:
    code, said = outcome(qstar, ON_CHECKPOINTS[command], attack(contents))
    assert (code, len(said)) == (2, 1)


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
@pytest.mark.parametrize("attack", attacks.TRAINER_COMMANDS, ids=lambda attack: attack.__name__)
def test_no_stored_configuration_decides_what_is_imported_or_where_is_written(
    attack: Any, command: str, contents: dict[str, Any], qstar: Call
) -> None:
    code, said = outcome(qstar, ON_CHECKPOINTS[command], attack(contents))
    assert (code, len(said)) == (2, 1)
    assert "if you mean it, give --" in said[0]
    assert not Path("../elsewhere").exists()


@pytest.mark.parametrize("command", ON_MODELS)
@pytest.mark.parametrize("attack", attacks.REFUSED_MODELS, ids=lambda attack: attack.__name__)
def test_no_model_runs_code(attack: Any, command: str, qstar: Call) -> None:
    folder = Path("policy")
    attack(folder)
    if "template" in attack.__name__ and command == "theory":
        pytest.skip("renders no dialogue")
    code, said = outcome(qstar, ON_MODELS[command], folder)
    assert (code, len(said)) == (2, 1)


@pytest.mark.parametrize("attack", attacks.IGNORED_MODELS, ids=lambda attack: attack.__name__)
def test_what_a_model_asks_for_in_vain(attack: Any, qstar: Call) -> None:
    attack(Path("policy"))
    code, _, err = qstar(*(word.format("policy") for word in ON_MODELS["generate"]))
    assert not Path(attacks.CANARY).exists()
    assert code == 0, err
    if "code" in attack.__name__:
        assert "notice: policy brings code of its own, which is not run" in err


@pytest.mark.parametrize("command", ON_DATA)
@pytest.mark.parametrize("attack", attacks.DATA, ids=lambda attack: attack.__name__)
def test_no_data_set_runs_code(attack: Any, command: str, qstar: Call) -> None:
    attack(Path("rows"))
    code, said = outcome(qstar, ON_DATA[command], Path("rows"))
    assert (code, len(said)) == (2, 1)
