"""When and how often things are gathered, copied and logged, and who sees them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger
from reference.diagnostics import rollout_metrics
from reference.toy_training import Toy, make_rows, report_of, take, train
from torch import Tensor

from qstar_pl.callbacks import (
    SUM,
    AlphaDiagnostic,
    Diagnostic,
    LossDiagnostic,
    MetricsListener,
    RewardDiagnostic,
    ThroughputDiagnostic,
    default_diagnostics,
)
from qstar_pl.callbacks.gradient_norms import squared_norm
from qstar_pl.callbacks.reductions import LOGSUMEXP, MAX, MIN, Accumulators, pack, reduce_over_ranks
from qstar_pl.types import StepReport

ROWS = make_rows(24, 11)


def plain(number: int, loss: Tensor) -> StepReport:
    return StepReport(loss.detach(), {"extra": loss.detach() * 3}, 4, 20)


def quarter(number: int, loss: Tensor) -> StepReport:
    return report_of(take(ROWS, range(6 * (number % 4), 6 * (number % 4) + 6)), loss)


@pytest.mark.parametrize(
    ("micro_steps", "accumulate", "every", "steps"),
    [(6, 1, 2, [2, 4, 6]), (12, 2, 3, [3, 6]), (5, 1, 2, [2, 4, 5]), (3, 1, 50, [3]), (5, 2, 1, [1, 2, 3])],
)
def test_logs_every_n_optimizer_steps_and_what_is_left_at_the_end(
    micro_steps: int, accumulate: int, every: int, steps: list[int]
) -> None:
    _, logger = train(plain, micro_steps, [LossDiagnostic()], every=every, accumulate_grad_batches=accumulate)
    assert [step for step, _ in logger.calls] == steps


def test_never_logs_where_the_trainer_does_not() -> None:
    diagnostic = LossDiagnostic()
    _, logger = train(plain, 3, [diagnostic], every=0)
    assert logger.calls == []
    assert diagnostic.accumulators.entries == {}


def test_fast_dev_run_works() -> None:
    trainer, _ = train(quarter, 3, default_diagnostics(), fast_dev_run=2)
    assert trainer.callback_metrics["loss/total"] == 2


def test_one_logger_call_and_two_copies_to_the_host_per_logging_step(monkeypatch: pytest.MonkeyPatch) -> None:
    copies: list[str] = []
    for name in ("cpu", "item", "tolist", "numpy", "__bool__", "__float__", "__int__"):
        original = getattr(Tensor, name)

        def counted(self: Tensor, *args: Any, _name: str = name, _original: Any = original) -> Any:
            if watching and self.ndim:  # scalars: of the host's own vector after the copy (see the test below)
                copies.append(_name)
            return _original(self, *args)

        monkeypatch.setattr(Tensor, name, counted)
    watching = True
    callbacks = [one for one in default_diagnostics() if isinstance(one, Diagnostic)]
    _, logger = train(quarter, 8, callbacks, every=2, accumulate_grad_batches=2)
    watching = False
    assert len(logger.calls) == 2
    # One for all sufficient statistics, and one for the rows that a tail is fitted to.
    assert copies == ["cpu"] * 4


def test_observing_and_packing_never_wait_for_an_accelerator() -> None:
    """On the meta device, which stands for one here, anything that needs a value on the host raises."""
    report = report_of(ROWS, torch.tensor(1.0)).to("meta")
    with pytest.raises(Exception, match="meta"):
        report.loss.item()
    with pytest.raises(Exception, match="meta"):
        report.loss[report.loss > 0]
    packed = 0
    for diagnostic in default_diagnostics():
        if isinstance(diagnostic, Diagnostic):
            for _ in range(2):
                diagnostic.observe(SimpleNamespace(world_size=1), report)  # type: ignore[arg-type]
            entries = diagnostic.accumulators.entries
            layout = tuple((name, reduction.name) for name, (reduction, _) in entries.items())
            packed += len(layout)
            assert not layout or pack(entries, layout, torch.device("meta")).device.type == "meta"
    assert packed > 40
    parameter = torch.nn.Parameter(torch.zeros(3, device="meta"))
    assert squared_norm({parameter: parameter.detach()}, {parameter: 0.5}).device.type == "meta"


def test_metrics_reach_the_checkpoint_callback_and_the_progress_bar(tmp_path: Path) -> None:
    class Bar(RichProgressBar):
        shown: dict[str, Any]

        def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
            self.shown = self.get_metrics(trainer, pl_module)

    bar = Bar()
    best = ModelCheckpoint(tmp_path, monitor="loss/total", mode="max", every_n_train_steps=1, save_top_k=1)
    trainer, _ = train(
        quarter,
        3,
        [best, bar, LossDiagnostic(), AlphaDiagnostic(prog_bar=False), RewardDiagnostic()],
        enable_progress_bar=True,
        enable_checkpointing=True,
    )
    assert best.best_model_score == 3
    value = trainer.callback_metrics["alpha/mean"]
    assert isinstance(value, Tensor)
    assert value.device.type == "cpu"
    assert {"loss/total", "reward/mean"} <= set(trainer.progress_bar_metrics)
    assert "alpha/mean" not in trainer.progress_bar_metrics


def test_csv_logger_has_a_row_per_logging_step(tmp_path: Path) -> None:
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=CSVLogger(tmp_path, name="", version=""),
        log_every_n_steps=2,
        callbacks=[LossDiagnostic()],
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    trainer.fit(Toy(plain), torch.utils.data.DataLoader(list(range(5)), batch_size=None))
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    assert len(lines) == 4
    assert {"loss/total", "loss/extra", "lr", "step", "epoch"} == set(lines[0].split(","))


def test_listeners_hear_of_the_metrics_wherever_they_stand() -> None:
    class Listener(Callback, MetricsListener):
        def __init__(self) -> None:
            self.heard: list[tuple[int, float]] = []

        def on_metrics(self, trainer: Trainer, pl_module: LightningModule, metrics: Any, step: int) -> None:
            self.heard.append((step, metrics["loss/total"]))

    first, last = Listener(), Listener()
    train(plain, 4, [first, LossDiagnostic(), last], every=2)
    assert first.heard == last.heard == [(2, 1.5), (4, 3.5)]


class _SaveAt(Callback):
    def __init__(self, path: Path, step: int) -> None:
        self.path, self.step = path, step

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


def test_resume_in_the_middle_of_a_window_equals_the_uninterrupted_run(tmp_path: Path) -> None:
    def callbacks() -> list[Callback]:
        return [one for one in default_diagnostics() if isinstance(one, Diagnostic)]

    _, whole = train(quarter, 8, callbacks(), every=4)
    path = tmp_path / "half.ckpt"
    train(quarter, 8, [*callbacks(), _SaveAt(path, 6)], every=4, max_steps=6)
    _, resumed = train(quarter, 8, callbacks(), every=4, ckpt_path=path)
    assert [step for step, _ in resumed.calls] == [8]
    timed = ("time/", "memory/", "tokens/per_s")
    wanted = {key: value for key, value in whole.calls[1][1].items() if not key.startswith(timed)}
    got = {key: value for key, value in resumed.calls[0][1].items() if not key.startswith(timed)}
    assert got == pytest.approx(wanted, rel=1e-12)
    assert got["samples/total"] == 48


def test_a_second_fit_with_the_same_callbacks_starts_without_data() -> None:
    callbacks: list[Callback] = [LossDiagnostic(), ThroughputDiagnostic()]
    with pytest.raises(ZeroDivisionError):
        train(lambda number, loss: plain(1 // (2 - number), loss), 4, callbacks, every=4)
    _, logger = train(plain, 2, callbacks, every=2)
    assert logger.calls[0][1]["loss/total"] == 1.5
    assert logger.calls[0][1]["samples/total"] == 8


def test_reductions_agree_with_their_definitions_over_steps_and_ranks() -> None:
    values = [[0.5, -1.0], [3.0], []]  # of three ranks, the last without data
    vectors = []
    for rank in values:
        accumulators = Accumulators()
        for value in rank:
            for reduction in (SUM, MAX, MIN, LOGSUMEXP):
                accumulators.add(reduction.name, torch.tensor(value), reduction)
        layout = tuple((name, name) for name in ("max", "logsumexp", "min", "sum"))
        vectors.append(pack(accumulators.entries, layout, torch.device("cpu")))
    got = reduce_over_ranks(torch.stack(vectors), layout)
    flat = torch.tensor([0.5, -1.0, 3.0], dtype=torch.float64)
    assert got == pytest.approx({"max": 3.0, "logsumexp": float(flat.logsumexp(0)), "min": -1.0, "sum": 2.5})


def test_a_nan_on_one_rank_is_not_swallowed() -> None:
    layout = (("a", "sum"), ("b", "max"), ("c", "logsumexp"))
    gathered = torch.tensor([[1.0, 1.0, 1.0], [torch.nan] * 3])
    assert all(value != value for value in reduce_over_ranks(gathered, layout).values())


def test_a_statistic_has_one_reduction() -> None:
    accumulators = Accumulators()
    accumulators.add("a", 1.0, SUM)
    with pytest.raises(ValueError, match="a is reduced by sum"):
        accumulators.add("a", 1.0, MAX)


def test_many_small_terms_are_summed_in_float64() -> None:
    accumulators = Accumulators()
    accumulators.add("a", torch.tensor(2.0**25), SUM)
    for _ in range(64):
        accumulators.add("a", torch.tensor(1.0), SUM)
    assert float(accumulators.entries["a"][1]) == 2**25 + 64


def test_definitions_and_default_set_agree_on_real_training_output() -> None:
    _, logger = train(quarter, 4, default_diagnostics(), every=4)
    (got,) = (metrics for _, metrics in logger.calls)
    for key, value in rollout_metrics(ROWS, applied_per_answer=True).items():
        assert got[key] == pytest.approx(value, rel=2e-5, abs=2e-6), key
    documented = {"loss/total", "lr", "grad/norm", "time/step_s", "memory/peak_gb", "samples/total", "tokens/per_s"}
    assert documented <= set(got)
