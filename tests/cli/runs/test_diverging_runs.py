"""A run that diverges, through the real command: one line, and the last checkpoint as it was."""

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from small_run import SMALL

Call = Callable[..., tuple[int, str, str]]
EVERY = ("--trainer.callbacks=ModelCheckpoint", "--trainer.callbacks.every_n_train_steps=1")
WRITER = (*EVERY, "--trainer.callbacks.save_last=true", "--trainer.limit_val_batches=0")
FIT = ("fit", *SMALL, "--model=SFT", "--model.evaluation_sampler.max_new_tokens=3", *WRITER)
Q_STAR = ("fit", *SMALL, "--model.samples_per_prompt=2", "--model.sampler.max_new_tokens=3", *WRITER)
UNSTEADY = "--model.reward=small_run.Unsteady"
LAST = Path("runs/sft/version_0/checkpoints/last.ckpt")


def only_error(err: str) -> str:
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in err
    return line.removeprefix("error: ")


def test_a_learning_rate_that_ruins_the_weights_leaves_the_last_checkpoint(qstar: Call) -> None:
    assert qstar(*FIT, "--trainer.max_steps=2")[0] == 0
    before, files = LAST.read_bytes(), sorted(LAST.parent.glob("*.ckpt"))
    words = (*FIT, "--trainer.max_steps=5", "--ckpt_path=last")
    code, _, err = qstar(*words, "--model.optimizer=AdamW", "--model.optimizer.lr=1e30")
    assert code == 2
    line = only_error(err)
    assert line.startswith("weights must be finite, got ")
    assert f", after step 3: the last checkpoint is finite, --ckpt_path {LAST} goes on from it; a lower" in line
    assert LAST.read_bytes() == before
    assert sorted(LAST.parent.glob("*.ckpt")) == files
    assert qstar(*words)[0] == 0
    assert torch.load(LAST, weights_only=True)["global_step"] == 5


@pytest.mark.parametrize(("value", "said"), [(".nan", "nan"), ("-.inf", "-inf")])
def test_a_reward_that_is_no_number_is_named_with_its_prompt(qstar: Call, value: str, said: str) -> None:
    words = (*Q_STAR, UNSTEADY, f"--model.reward.value={value}", "--trainer.max_steps=4")
    code, _, err = qstar(*words)
    assert code == 2
    line = only_error(err)
    assert line.startswith(
        f"reward must be finite, got {said} from Unsteady for 1 of 4 answers, the first in row 1, to '"
    )
    last = Path("runs/q_star/version_0/checkpoints/last.ckpt")
    assert (
        f", in step 2, which was not taken: the last checkpoint is finite, --ckpt_path {last} goes on from it" in line
    )
    assert torch.load(last, weights_only=True)["global_step"] == 1
    code, _, err = qstar(*words, "--name=skipped", "--model.on_non_finite=Skip", "--model.on_non_finite.limit=1")
    assert code == 0, err
    assert torch.load("runs/skipped/version_0/checkpoints/last.ckpt", weights_only=True)["qstar_skipped_steps"] == 1


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_refused_where_they_are_read(qstar: Call, value: float) -> None:
    assert qstar(*FIT, "--trainer.max_steps=1")[0] == 0
    contents = torch.load(LAST, weights_only=True)
    contents["state_dict"]["policy.transformer.h.1.mlp.c_fc.weight"][2, 3] = value
    torch.save(contents, "wrong.ckpt")
    Path("prompts.jsonl").write_text('{"prompt": "Hello?"}\n')
    read = ("--model.policy=FromCheckpoint", "--model.policy.path=wrong.ckpt")
    for words in (
        ("export", "--ckpt_path", "wrong.ckpt", "--output", "exported"),
        ("generate", "--model_theta", "wrong.ckpt", "--dataset", "prompts.jsonl", "--output", "out.jsonl"),
        (*FIT, *read, "--trainer.max_steps=1"),
        (*FIT, "--ckpt_path=wrong.ckpt", "--trainer.max_steps=2"),
        ("validate", *SMALL, "--ckpt_path=wrong.ckpt"),
    ):
        code, _, err = qstar(*words)
        assert code == 2, words
        assert "must hold finite weights, got " in only_error(err)
        assert f" with {value} in " in err
        assert "transformer.h.1.mlp.c_fc.weight" in err
    assert not Path("exported").exists()
    assert not Path("out.jsonl").exists()


@pytest.mark.slow  # test_errors.py: who says the line; test_finite_watch.py: that both processes stop
def test_two_processes_say_one_line(tmp_path: Path) -> None:
    words = (*Q_STAR, UNSTEADY, "--trainer.devices=2", "--trainer.strategy=ddp", "--trainer.max_steps=4")
    process = subprocess.run(
        [sys.executable, "-m", "qstar_pl", *words],
        cwd=tmp_path,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
        },
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert process.returncode == 2, process.stderr
    assert only_error(process.stderr).startswith("reward must be finite, got nan from Unsteady for 1 of 4 answers")
    last = tmp_path / "runs/q_star/version_0/checkpoints/last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] == 1
