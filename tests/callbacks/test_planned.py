"""The end of a run whose batches take several optimizer steps, as the lines and the report at its start say it."""

from typing import Any

import pytest
from lightning.pytorch import Trainer
from reference.toy_training import Toy
from torch import Tensor
from torch.utils.data import DataLoader

from qstar_pl.callbacks import RunReport, StepProgressBar
from qstar_pl.callbacks.planned import planned_steps
from qstar_pl.types import StepReport


class Twice(Toy):
    """Takes two optimizer steps per batch, and notes what was planned before each."""

    steps_per_batch = 2

    def __init__(self) -> None:
        super().__init__(lambda number, loss: StepReport(loss.detach(), {}, 1, 1, {}))
        self.automatic_optimization = False
        self.planned = list[float]()

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        self.planned.append(planned_steps(self.trainer, self))
        output = super().training_step(batch, batch_idx)
        self.optimizers().step()
        self.optimizers().step()
        return output


@pytest.mark.parametrize(
    ("options", "end", "said"),
    [
        ({"max_steps": 3}, 4, "4 (2 per batch, max_steps 3)"),
        ({"max_steps": 4}, 4, "4 (2 per batch)"),
        ({"max_epochs": 2}, 12, "12 (2 per batch)"),
        ({"max_epochs": 2, "max_steps": 7}, 8, "8 (2 per batch, max_steps 7)"),
    ],
    ids=["beyond", "even", "epochs", "both"],
)
def test_a_run_ends_after_the_batch_that_reaches_max_steps(
    options: dict[str, int], end: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = Trainer(
        accelerator="cpu",
        callbacks=[StepProgressBar(every_s=0), RunReport()],
        logger=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        **options,
    )
    module = Twice()
    trainer.fit(module, DataLoader([0, 1, 2], batch_size=None))
    assert trainer.global_step == end
    assert module.planned == [end] * (end // 2)
    lines = capsys.readouterr().out.splitlines()
    assert f"  steps    {said}" in lines
    steps = [line.split(",")[0] for line in lines if line.startswith("step ")]
    assert steps == [f"step {step}/{end}" for step in range(2, end + 1, 2)]


def test_a_run_without_limits_has_no_end() -> None:
    module = Twice()
    trainer = Trainer(accelerator="cpu", max_epochs=-1, max_time={"hours": 1}, logger=False)
    assert planned_steps(trainer, module) == float("inf")
