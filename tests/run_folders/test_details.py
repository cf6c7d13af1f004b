from pathlib import Path

import pytest
import torch

from qstar_pl.run_folders.details import details
from qstar_pl.run_folders.record import Record

CONFIG = """\
seed_everything: 5
name: mine
model:
  class_path: qstar_pl.methods.DPO
  init_args:
    beta: 0.3
    lr_scheduler: null
data:
  class_path: qstar_pl.data.RLHFDataModule
  init_args:
    path: tiny
    batch_size: 8
trainer:
  max_steps: 20
  accumulate_grad_batches: 1
  log_every_n_steps: 10
  default_root_dir: runs
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = Path("runs/mine/version_0")
    (folder / "checkpoints").mkdir(parents=True)
    torch.save({"global_step": 20}, folder / "checkpoints" / "last.ckpt")
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "metrics.csv").write_text(
        "loss/total,step,val/reward_gold,weights/cv\n0.1,10,,1\n0.5,20,,2\n,15,0.75,\n,20,0.5,\n"
    )
    return folder


def lines(folder: Path, *metrics: str) -> list[str]:
    return details(Record.read(folder, Path("runs")), metrics, {"log_every_n_steps": 10})


def test_a_run_in_full(folder: Path) -> None:
    found = lines(folder)
    assert found[0] == "mine/version_0: finished, step 20/20"
    text = "\n".join(found)
    assert (
        "  model: DPO\n    beta: 0.3\n  data: RLHFDataModule\n  trainer:\n    max_steps: 20\n  seed_everything: 5"
        in text
    )
    assert "  last.ckpt  step      20  " in text
    rows = [line.split() for line in found if "loss/total" in line or "reward_gold" in line]
    assert rows == [["loss/total", "0.5", "0.1", "10"], ["val/reward_gold", "0.5", "0.75", "15"]]
    assert "qstar fit --name mine --ckpt_path last --trainer.max_steps 40" in text
    assert "qstar validate --ckpt_path runs/mine/version_0/checkpoints/last.ckpt" in text


def test_beside_another_run_of_the_name_the_checkpoint_is_named(folder: Path) -> None:
    (folder.parent / "version_1" / "checkpoints").mkdir(parents=True)
    assert any("qstar fit --ckpt_path runs/mine/version_0/checkpoints/last.ckpt" in line for line in lines(folder))


def test_chosen_metrics(folder: Path) -> None:
    rows = [
        line.split() for line in lines(folder, "weights/cv", "no/such") if "weights/cv" in line or "no/such" in line
    ]
    assert rows == [["weights/cv", "2"], ["no/such", "–"]]  # neither high nor low is good


@pytest.mark.parametrize(
    ("key", "best"),
    [
        ("rewards/chosen", "2"),
        ("rewards/rejected", None),
        ("reward/std", None),
        ("loss/total", "1"),
        ("val/preference_accuracy", "2"),
    ],
)
def test_what_is_best_of_a_metric(folder: Path, key: str, best: str | None) -> None:
    (folder / "metrics.csv").write_text(f"step,{key}\n10,1\n20,2\n30,1.5\n")
    (row,) = (line.split() for line in lines(folder, key) if line.split()[:1] == [key])
    assert row[2:3] == ([] if best is None else [best])


def test_before_the_first_row(folder: Path) -> None:
    (folder / "metrics.csv").write_text("loss/total,step\n")
    assert "metrics: none yet" in lines(folder)


def test_damage_is_a_notice(folder: Path) -> None:
    (folder / "config.yaml").write_text("[")
    found = lines(folder)
    assert any(line.startswith("notice: ") and "config.yaml" in line for line in found)
    assert any("last.ckpt" in line for line in found)


def test_secrets_are_not_printed(folder: Path) -> None:
    (folder / "config.yaml").write_text(
        CONFIG.replace("beta: 0.3", "reward: {class_path: own.Judge, init_args: {token: abc}}")
    )
    assert "    reward: Judge(token=***)" in lines(folder)
