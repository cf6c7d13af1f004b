"""Losses, learning rates, totals, time and memory."""

import time
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from reference.toy_training import Memory, Toy, train
from torch import Tensor

from qstar_pl.callbacks import LossDiagnostic, MemoryDiagnostic, ThroughputDiagnostic
from qstar_pl.types import StepReport


def plain(number: int, loss: Tensor) -> StepReport:
    terms = {"kl": loss.detach() / 2} if number % 2 else {}
    return StepReport(loss.detach(), terms, samples=4, tokens=10 + number, generated=3)


def fit_with(optimizers: Any, callbacks: list[Callback], micro_steps: int) -> Memory:
    class Scheduled(Toy):
        def configure_optimizers(self) -> Any:
            return optimizers(self)

    logger = Memory()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=[logger],
        log_every_n_steps=1,
        callbacks=callbacks,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    trainer.fit(Scheduled(plain), torch.utils.data.DataLoader(list(range(micro_steps)), batch_size=None))
    return logger


def test_loss_is_the_mean_over_micro_steps_and_terms_over_those_that_have_them() -> None:
    _, logger = train(plain, 4, [LossDiagnostic()], every=2, accumulate_grad_batches=2)
    ((_, got),) = logger.calls
    assert got["loss/total"] == (1 + 2 + 3 + 4) / 4
    assert got["loss/kl"] == (2 + 4) / 2 / 2
    assert got["lr"] == 0.0


def test_a_term_that_is_missing_in_a_window_is_absent() -> None:
    _, logger = train(plain, 2, [LossDiagnostic()])
    assert ["loss/kl" in metrics for _, metrics in logger.calls] == [False, True]


def test_learning_rate_is_the_one_that_the_step_used() -> None:
    def halving(module: Toy) -> Any:
        optimizer = torch.optim.SGD(module.parameters(), lr=0.4)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    logger = fit_with(halving, [LossDiagnostic()], 3)
    assert [metrics["lr"] for _, metrics in logger.calls] == pytest.approx([0.4, 0.2, 0.1])


def test_several_parameter_groups_have_a_rate_each() -> None:
    def groups(module: Toy) -> Any:
        spare = torch.nn.Parameter(torch.zeros(()))
        return torch.optim.SGD([{"params": [module.weight], "name": "policy"}, {"params": [spare], "lr": 0.5}], lr=0.1)

    logger = fit_with(groups, [LossDiagnostic()], 1)
    rates = {key: value for key, value in logger.calls[0][1].items() if key.startswith("lr")}
    assert rates == {"lr/policy": 0.1, "lr/0.1": 0.5}


def test_totals_grow_and_speeds_are_those_of_the_window() -> None:
    def slow(number: int, loss: Tensor) -> StepReport:
        time.sleep(0.02)
        return plain(number, loss)

    _, logger = train(slow, 4, [ThroughputDiagnostic()], every=2)
    first, second = (metrics for _, metrics in logger.calls)
    assert (first["samples/total"], second["samples/total"]) == (8, 16)
    assert (first["tokens/total"], second["tokens/total"]) == (21, 46)
    assert (first["generated/total"], second["generated/total"]) == (6, 12)
    assert second["time/step_s"] >= 0.02
    assert second["tokens/per_s"] == pytest.approx(25 / (2 * second["time/step_s"]))
    assert second["time/wall_s"] == pytest.approx(2 * first["time/step_s"] + 2 * second["time/step_s"])


def test_validation_is_not_training_time_and_training_around_it_is() -> None:
    class Validated(Toy):
        def validation_step(self, batch: Tensor, batch_idx: int) -> None:
            time.sleep(1.0)

    def slow(number: int, loss: Tensor) -> StepReport:
        time.sleep(0.1)
        return plain(number, loss)

    logger = Memory()
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=[logger],
        log_every_n_steps=2,
        callbacks=[ThroughputDiagnostic()],
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    loader = torch.utils.data.DataLoader([0], batch_size=None)
    trainer.fit(Validated(slow), loader, loader)
    # One window: a step, a validation in between, a step.
    ((step, metrics),) = logger.calls
    assert step == 2
    assert 0.2 <= metrics["time/wall_s"] < 1.0


def test_what_was_spent_up_to_a_validation_counts_the_unfinished_window() -> None:
    class Validated(Toy):
        spent: dict[str, float] = {}  # noqa: RUF012 (the callback replaces it)

        def validation_step(self, batch: Tensor, batch_idx: int) -> None:
            time.sleep(0.2)

        def on_validation_epoch_end(self) -> None:
            validations.append((self.trainer.global_step, self.spent))

    validations: list[tuple[int, dict[str, float]]] = []
    options: dict[str, Any] = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=5,
        log_every_n_steps=2,
        callbacks=[ThroughputDiagnostic()],
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        **options,
    )
    loader = torch.utils.data.DataLoader([0], batch_size=None)
    module = Validated(plain)
    trainer.validate(module, loader, verbose=False)
    trainer.fit(module, loader, loader)
    trainer.validate(module, loader, verbose=False)
    assert [step for step, _ in validations] == [0, 1, 2, 3, 4, 5, 5]
    counts = [[spent[f"{name}/total"] for name in ("samples", "generated", "tokens")] for _, spent in validations]
    assert counts == [[4 * step, 3 * step, 10 * step] for step, _ in validations]
    seconds = [spent["time/wall_s"] for _, spent in validations]
    assert seconds[0] == 0
    assert seconds == sorted(seconds)
    assert seconds[-1] < 0.2 * 7  # the validations' own time is none of it


def test_state_continues_totals_and_the_unfinished_window() -> None:
    before = ThroughputDiagnostic()
    train(plain, 3, [before])
    state = before.state_dict()
    after = ThroughputDiagnostic()
    after.load_state_dict({**state, "window_s": 10.0, "window_step": 3})
    metrics = after.compute({"samples": 4.0, "tokens": 20.0, "generated": 5.0, "step": 5.0})
    assert metrics["generated/total"] == 3 * 3 + 5
    assert metrics["samples/total"] == 16
    assert metrics["time/wall_s"] == pytest.approx(state["wall_s"] + 10, abs=0.1)
    assert metrics["time/step_s"] == pytest.approx(5, abs=0.1)
    assert metrics["tokens/per_s"] == pytest.approx(2, abs=0.1)


def test_a_new_run_with_an_old_callback_starts_at_zero() -> None:
    diagnostic = ThroughputDiagnostic()
    train(plain, 3, [diagnostic])
    _, logger = train(plain, 1, [diagnostic])
    assert logger.calls[0][1]["samples/total"] == 4


def test_memory_is_the_peak_in_gib() -> None:
    _, logger = train(plain, 1, [MemoryDiagnostic()])
    with open("/proc/self/status") as status:  # noqa: PTH123 (a file of the kernel)
        peak_kib = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    assert logger.calls[0][1]["memory/peak_gb"] == pytest.approx(peak_kib / 2**20, rel=0.05)
