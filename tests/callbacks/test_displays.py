"""Sample table, histograms and the report at the start."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger
from reference.toy_training import Toy, make_rows, report_of, take, train
from torch import Tensor
from torch.utils.data import DataLoader

from qstar_pl.callbacks import Histograms, RunReport, SampleTable
from qstar_pl.callbacks.histograms import distributions
from qstar_pl.callbacks.run_report import run_facts
from qstar_pl.callbacks.sample_table import sample_rows
from qstar_pl.errors import UserError
from qstar_pl.types import StepReport

ROWS = make_rows(6, 5)


def reports(number: int, loss: Tensor) -> StepReport:
    return report_of(ROWS, loss)


def plain(number: int, loss: Tensor) -> StepReport:
    return StepReport(loss.detach(), {}, 1, 1, {"margin": torch.arange(3.0)})


def test_table_rows_are_those_of_the_answers() -> None:
    rows = sample_rows(report_of(ROWS, torch.tensor(0.0)), 4)
    assert len(rows) == 4
    for i, (prompt, completion, reward, weight, alpha) in enumerate(rows):
        counted = ROWS["mask"][i]
        assert (prompt, completion) == (f"prompt {i} [bold]", f"answer {i} [red]")
        assert reward == pytest.approx(ROWS["rewards"][i], rel=1e-5)
        assert weight == pytest.approx(np.exp(ROWS["log_weights"][i][counted].sum()), rel=1e-5)
        assert alpha == pytest.approx(ROWS["alpha"][i][counted].mean(), rel=1e-5)


def test_table_is_printed_every_n_steps_with_markup_taken_literally(capsys: pytest.CaptureFixture[str]) -> None:
    train(reports, 8, [SampleTable(every_n_steps=2, rows=1)], accumulate_grad_batches=2)
    said = capsys.readouterr().out
    assert [line.split()[-1] for line in said.splitlines() if "samples at step" in line] == ["2", "4"]
    assert "answer 0 [red]" in said
    assert "answer 1" not in said


def test_table_is_silent_about_methods_that_do_not_sample(capsys: pytest.CaptureFixture[str]) -> None:
    train(plain, 2, [SampleTable(every_n_steps=1), Histograms(1)])
    assert "samples at step" not in capsys.readouterr().out


def fit(logger: Any, callback: Any, make: Any = reports) -> None:
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=logger,
        callbacks=[callback],
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        log_every_n_steps=1,
    )
    trainer.fit(Toy(make), DataLoader([0, 1], batch_size=None))


def test_wandb_gets_a_table_and_histograms(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    tables: list[dict[str, Any]] = []
    drawn: list[tuple[dict[str, Any], int]] = []
    monkeypatch.setattr(WandbLogger, "log_table", lambda self, key, **kwargs: tables.append({"key": key, **kwargs}))
    monkeypatch.setattr(WandbLogger, "log_metrics", lambda self, metrics, step=None: drawn.append((metrics, step)))
    monkeypatch.setattr(WandbLogger, "log_hyperparams", lambda self, *args: None)
    monkeypatch.setattr(WandbLogger, "log_graph", lambda self, *args: None)
    fit(WandbLogger(save_dir=tmp_path, offline=True), SampleTable(every_n_steps=2, rows=3))
    assert [(one["key"], one["step"], len(one["data"])) for one in tables] == [("samples", 2, 3)]
    assert tables[0]["columns"] == ["prompt", "completion", "reward", "weight", "alpha"]
    fit(WandbLogger(save_dir=tmp_path, offline=True), Histograms(every_n_steps=2))
    assert [step for _, step in drawn] == [2]
    assert set(drawn[0][0]) == {f"histogram/{name}" for name in ("beta", "log_weights", "alpha", "rewards")}
    assert sum(drawn[0][0]["histogram/rewards"].histogram) == 6


def test_tensorboard_gets_histograms(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fit(TensorBoardLogger(tmp_path, name="", version=""), Histograms(every_n_steps=2), plain)
    events = EventAccumulator(str(tmp_path), size_guidance={"histograms": 0})
    events.Reload()
    assert events.Tags()["histograms"] == ["histogram/margin"]
    (event,) = events.Histograms("histogram/margin")
    assert event.step == 2
    assert (event.histogram_value.num, event.histogram_value.sum) == (3, 3)


def test_distributions_hold_what_counts_only() -> None:
    rows = {key: value.copy() for key, value in take(ROWS, range(6)).items()}
    rows["mask"][3] = False
    values = distributions(report_of(rows, torch.tensor(0.0)))
    assert len(values["histogram/rewards"]) == len(values["histogram/log_weights"]) == 5
    assert len(values["histogram/alpha"]) == rows["mask"].sum()


class _Data(LightningDataModule):
    batch_size = 3

    def __init__(self) -> None:
        super().__init__()

    def train_dataloader(self) -> DataLoader[int]:
        return DataLoader(list(range(12)), batch_size=3, collate_fn=lambda batch: torch.tensor(batch[0]))


def test_run_report_resolves_what_is_about_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Sampling(Toy):
        samples_per_prompt = 4

        def __init__(self) -> None:
            super().__init__(reports)
            self.policy = torch.nn.Linear(3, 2)
            self.reference = torch.nn.Linear(3, 2).requires_grad_(False)

    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=CSVLogger(tmp_path),
        callbacks=[RunReport()],
        accumulate_grad_batches=2,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        default_root_dir=tmp_path,
    )
    module = Sampling()
    trainer.fit(module, datamodule=_Data())
    said = capsys.readouterr().out
    assert "Sampling:\n  trained  policy (Linear), 8 parameters\n  frozen   reference, 8 parameters\n" in said
    assert "  steps    2; metrics at the end\n" in said
    facts = run_facts(trainer, module)
    assert facts == {
        "trained": "policy (Linear), 8 parameters",
        "frozen": "reference, 8 parameters",
        "batch": "3 per device × 2 accumulated × 1 devices = 6",
        "answers": "6 prompts × 4 samples = 24 per step",
        "steps": "2, from 2; metrics at the end",
        "logs": str(tmp_path / "lightning_logs" / "version_0"),
        "devices": "1 × cpu, 32-true (SingleDeviceStrategy, 1 node)",
    }


def test_answers_are_those_of_the_batch_that_the_data_really_makes(tmp_path: Path) -> None:
    class Sampling(Toy):
        samples_per_prompt = 4

    data = _Data()
    data.batch_size = 100_000  # asked for
    data.report = SimpleNamespace(batch_size=3, effective_batch=3)
    trainer = Trainer(accelerator="cpu", fast_dev_run=True, enable_progress_bar=False, enable_model_summary=False)
    module = Sampling(reports)
    trainer.fit(module, datamodule=data)
    assert run_facts(trainer, module)["answers"] == "3 prompts × 4 samples = 12 per step"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SampleTable(every_n_steps=0), "every_n_steps must be at least 1, got 0"),
        (lambda: SampleTable(rows=0), "rows must be at least 1, got 0"),
        (lambda: Histograms(0), "every_n_steps must be at least 1, got 0"),
    ],
)
def test_options_are_checked(make: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()
