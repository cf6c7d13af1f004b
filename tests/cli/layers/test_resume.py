"""The same command again, with --ckpt_path auto, and last."""

import csv
import math
from pathlib import Path

import pytest
import torch
from small_run import SMALL

COMMAND = (
    "fit",
    "--ckpt_path=auto",
    "--data.max_rows=64",
    "--data.batch_size=2",
    "--data.val_limit=4",
    "--model.samples_per_prompt=2",
    "--model.sampler.max_new_tokens=6",
    "--model.evaluation_sampler.max_new_tokens=6",
    "--model.policy=Pretrained",
    "--model.policy.name=tiny/policy",
    "--model.policy.dropout=0.1",
    "--trainer.log_every_n_steps=1",
    "--trainer.enable_progress_bar=false",
    "--trainer.limit_val_batches=0",
    "--trainer.callbacks=ModelCheckpoint",
    "--trainer.callbacks.save_last=true",
    "--trainer.callbacks.every_n_train_steps=1",
    "--trainer.callbacks+=LossDiagnostic",
    "--trainer.callbacks+=WeightsDiagnostic",
)
RUNS = Path("runs/q_star")


def rows(version: str) -> list[dict[str, str]]:
    with (RUNS / version / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def weights(version: str) -> dict[str, torch.Tensor]:
    return torch.load(RUNS / version / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def test_the_same_command_goes_on_where_the_last_one_stopped(qstar) -> None:
    assert qstar(*COMMAND, "--trainer.max_steps=2")[0] == 0  # there is nothing to go on with yet
    assert qstar(*COMMAND, "--trainer.max_steps=4")[0] == 0
    assert [folder.name for folder in RUNS.iterdir()] == ["version_0"]
    resumed, steps = weights("version_0"), rows("version_0")
    RUNS.rename("runs/interrupted")
    assert qstar(*COMMAND, "--trainer.max_steps=4")[0] == 0
    whole = weights("version_0")
    assert all(torch.equal(resumed[key], whole[key]) for key in whole)
    assert steps == rows("version_0")
    assert len(steps) == 4


VALIDATING = [word for word in COMMAND if "limit_val_batches" not in word]
VALIDATING += ["--trainer.val_check_interval=2", "--trainer.check_val_every_n_epoch=null", "--trainer.max_steps=5"]
VALIDATING += ["--trainer.num_sanity_val_steps=0"]


@pytest.mark.parametrize("moment", ["in the first validation", "while step 3's checkpoint is written"])
def test_no_row_is_lost_or_doubled_by_a_power_cut(qstar, moment, monkeypatch) -> None:
    words = VALIDATING
    if "validation" in moment:
        words = [*VALIDATING, "--trainer.callbacks+=small_run.PowerCut"]
    else:  # two checkpoints per step, so it is the fifth; by then the validation's row is in the file
        save, calls = torch.save, iter(range(1, 100))
        monkeypatch.setattr(torch, "save", lambda *args: power_cut() if next(calls) == 5 else save(*args))
    with pytest.raises(RuntimeError, match="power cut"):
        qstar(*words)
    assert qstar(*VALIDATING)[0] == 0
    resumed, steps = weights("version_0"), rows("version_0")
    RUNS.rename("runs/interrupted")
    assert qstar(*VALIDATING)[0] == 0
    whole = weights("version_0")
    assert all(torch.equal(resumed[key], whole[key]) for key in whole)
    assert steps == rows("version_0")
    assert len([row for row in steps if row["val/reward_gold"]]) == 2


def power_cut() -> None:
    raise RuntimeError("power cut")


def test_rows_after_the_checkpoint_are_computed_again_and_not_kept_twice(qstar) -> None:
    assert qstar(*COMMAND, "--trainer.max_steps=2")[0] == 0
    path = RUNS / "version_0" / "metrics.csv"
    before = path.read_text()
    last = before.splitlines()[-1].split(",")
    header = before.splitlines()[0].split(",")
    last[header.index("step")] = "3"
    path.write_text(before + ",".join(last) + "\n" + ",".join(last)[:9])  # a kill has cut the last line
    assert qstar(*COMMAND, "--trainer.max_steps=3")[0] == 0
    assert path.read_text().startswith(before)
    assert len(rows("version_0")) == 3


def test_rows_after_a_checkpoint_that_knew_none_are_not_kept(qstar) -> None:
    """The checkpoint of step 1 is older than the first row, which the end of the run (or a crash) writes."""
    words = (*COMMAND, "--trainer.log_every_n_steps=2")
    assert qstar(*words, "--trainer.max_steps=1")[0] == 0
    assert [row["step"] for row in rows("version_0")] == ["1"]
    assert qstar(*words, "--trainer.max_steps=2")[0] == 0
    assert [row["step"] for row in rows("version_0")] == ["2"]


def test_a_damaged_checkpoint_is_named_and_the_one_before_offered(qstar) -> None:
    assert qstar(*COMMAND, "--trainer.max_steps=2")[0] == 0
    last = RUNS / "version_0" / "checkpoints" / "last.ckpt"
    content = bytearray(last.read_bytes())
    content[len(content) // 3] ^= 1
    last.write_bytes(content)
    code, _, err = qstar(*COMMAND, "--trainer.max_steps=3")
    assert code == 2
    assert "ckpt_path must be a whole checkpoint, got runs/q_star/version_0/checkpoints/last.ckpt" in err
    offered = err.strip().rpartition("--ckpt_path ")[2]
    assert qstar(*COMMAND[:1], *COMMAND[2:], f"--ckpt_path={offered}", "--trainer.max_steps=3")[0] == 0


@pytest.mark.parametrize("words", [("fit",), ("validate",), ("test", "--name=q_star"), ("predict",)])
def test_last_needs_a_checkpoint(qstar, words) -> None:
    code, _, err = qstar(*words, "--ckpt_path=last")
    assert code == 2
    assert err.splitlines()[-1].startswith(
        "error: ckpt_path must name a checkpoint, got last, and runs/q_star holds none yet"
    )
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("folder", "ckpt_path must be a Lightning checkpoint, got the folder folder, in which there is none"),
        ("", "ckpt_path must be last, auto or the path of a checkpoint, got nothing"),
        ("best", "ckpt_path must be last, auto or the path of a checkpoint, got best"),
    ],
)
def test_what_is_no_checkpoint(given: str, line: str, qstar) -> None:
    Path("folder").mkdir()
    for command in ("fit", "test"):
        assert qstar(command, f"--ckpt_path={given}") == (2, "", f"error: {line}\n")


def test_last_looks_where_the_run_would_be(qstar) -> None:
    Path("trainer.yaml").write_text("default_root_dir: elsewhere\n")
    Path("run.yaml").write_text("name: mine\ntrainer: trainer.yaml\nckpt_path: last\n")
    assert "elsewhere/mine holds none yet" in qstar("fit", "--config=run.yaml")[2]
    assert "there/mine holds none yet" in qstar("fit", "--config=run.yaml", "--trainer.default_root_dir=there")[2]
    assert "runs/dpo holds none yet" in qstar("fit", "--model=DPO", "--ckpt_path", "last")[2]
    assert "must be last, auto or the path of a checkpoint, got best" in qstar("fit", "--ckpt_path=best")[2]


def test_another_methods_checkpoint_is_a_start_and_no_resume(qstar) -> None:
    assert qstar(*COMMAND, "--trainer.max_steps=1")[0] == 0
    path = RUNS / "version_0" / "checkpoints" / "last.ckpt"
    words = ("fit", *SMALL, "--trainer.max_steps=1", f"--ckpt_path={path}")
    for method, argument in (("DPO", "model.policy"), ("RewardModeling", "model.model")):
        code, _, err = qstar(*words, f"--model={method}")
        assert code == 2
        line = err.splitlines()[-1]
        assert line.startswith(f"error: ckpt_path must be a checkpoint of {method} to go on with, got one of QStar, ")
        start = f"--{argument}=FromCheckpoint --{argument}.path={path}"
        assert line.endswith(f"which can be a start: {start}")
    start = ("--model=DPO", "--model.policy=FromCheckpoint", f"--model.policy.path={path}")
    assert qstar(*words[:-1], *start)[0] == 0
    code, _, err = qstar(*words, "--name=q_star", "--model=UniformAlpha")
    assert code == 2
    assert "got one of QStar" in err


def test_what_cannot_be_continued_is_said_in_one_line(qstar) -> None:
    assert qstar(*COMMAND, "--trainer.max_steps=1")[0] == 0
    other = ("--model.optimizer=SGD", "--model.optimizer.lr=0.1")
    code, _, said = qstar(*COMMAND, *other, "--trainer.max_steps=2")
    assert code == 2
    assert said.splitlines()[-1].startswith(
        "error: optimizer must be AdamW, whose state the checkpoint holds, got SGD;"
    )
    alone = ("--trainer.callbacks.save_weights_only=true", "--name=alone")
    words = [word for word in COMMAND if "Diagnostic" not in word]
    assert qstar(*words, *alone, "--trainer.max_steps=1")[0] == 0
    code, _, said = qstar(*words, *alone, "--trainer.max_steps=2")
    assert code == 2
    assert "weights alone (save_weights_only); --model.policy=FromCheckpoint starts a new run" in said.splitlines()[-1]


def test_a_run_of_wandb_goes_on_as_itself(qstar) -> None:
    pytest.importorskip("wandb")
    words = [word for word in COMMAND if "Diagnostic" not in word]
    logger = ("--trainer.logger=WandbLogger", "--trainer.logger.offline=true", "--trainer.logger.save_dir=runs")
    for steps in (1, 2):
        assert qstar(*words, *logger, f"--trainer.max_steps={steps}")[0] == 0
    files = [path.stem for path in Path().glob("runs/wandb/offline-run-*/*.wandb")]
    assert len(files) == 2
    assert len(set(files)) == 1
    assert [folder.name for folder in RUNS.iterdir()] == ["version_0"]


def test_a_run_that_goes_on_takes_its_options_from_the_command_line(qstar) -> None:
    words = [
        "fit",
        "--model=SFT",
        *(word for word in COMMAND[2:] if "model.s" not in word and "evaluation" not in word),
    ]
    words += ["--model.optimizer=AdamW", "--model.lr_scheduler=CosineWithWarmup"]
    first = ["--model.optimizer.lr=1e-3", "--model.lr_scheduler.total_steps=4", "--trainer.max_steps=2"]
    assert qstar(*words, *first, "--name=first")[0] == 0
    checkpoint = "--ckpt_path=runs/first/version_0/checkpoints/last.ckpt"
    later = ["--model.optimizer.lr=1e-5", "--model.optimizer.weight_decay=0.5", "--model.lr_scheduler.total_steps=40"]
    assert qstar(*words, *later, "--trainer.max_steps=4", "--name=later", checkpoint)[0] == 0
    with Path("runs/later/version_0/metrics.csv").open(newline="") as file:
        rates = [float(row["lr"]) for row in csv.DictReader(file) if row["lr"]]
    assert rates[-2:] == pytest.approx([1e-5 * (1 + math.cos(math.pi * step / 40)) / 2 for step in (2, 3)])
    stored = torch.load("runs/later/version_0/checkpoints/last.ckpt", weights_only=True)
    assert stored["optimizer_states"][0]["param_groups"][0]["weight_decay"] == 0.5
    # Nothing given: the checkpoint's options are the lowest layer.
    bare = [word for word in words if "optimizer" not in word and "scheduler" not in word]
    assert qstar(*bare, "--trainer.max_steps=4", "--name=bare", checkpoint)[0] == 0
    stored = torch.load("runs/bare/version_0/checkpoints/last.ckpt", weights_only=True)
    assert stored["optimizer_states"][0]["param_groups"][0]["initial_lr"] == 1e-3


def test_another_optimizer_is_refused(qstar) -> None:
    words = [
        "fit",
        "--model=SFT",
        *(word for word in COMMAND[2:] if "model.s" not in word and "evaluation" not in word),
    ]
    assert qstar(*words, "--trainer.max_steps=1", "--name=first")[0] == 0
    checkpoint = "--ckpt_path=runs/first/version_0/checkpoints/last.ckpt"
    code, _, err = qstar(
        *words, checkpoint, "--model.optimizer=SGD", "--model.optimizer.lr=0.1", "--trainer.max_steps=2"
    )
    assert code == 2
    assert "optimizer must be AdamW, whose state the checkpoint holds, got SGD" in err
