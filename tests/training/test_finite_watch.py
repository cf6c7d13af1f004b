"""What is not finite stops a step or is left out; the whole table is `slow`, and `benchmarks/divergence.py`."""

import math
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint, OnExceptionCheckpoint
from lightning.pytorch.plugins import MixedPrecision
from reference.faults import (
    BATCHES,
    RATE,
    Cell,
    Fault,
    cells,
    fit,
    make,
    run_cells,
    run_on_two,
    same,
    state_of,
    trouble,
)

from qstar_pl.errors import NonFiniteError, UserError
from qstar_pl.methods.strategies.keep import KeepBest
from qstar_pl.training.non_finite import Skip, Stop

FAST = [
    Cell("SFT", "NaN, one row", diagnostics=False, processes=1, answer="stop"),
    Cell("QStar", "NaN, one row", diagnostics=True, processes=1, answer="stop"),
    Cell("RejectionSampling", "inf, one row", diagnostics=True, processes=1, answer="skip"),
    Cell("PPO", "NaN, all rows", diagnostics=False, processes=1, answer="skip"),
    Cell("DPO", "inf, all rows", diagnostics=True, processes=1, answer="skip"),
    Cell("RewardModeling", RATE, diagnostics=False, processes=1, answer="stop"),
]


@pytest.mark.parametrize("cell", FAST, ids=lambda cell: f"{cell.method}, {cell.fault}, {cell.answer}")
def test_a_fault_and_how_the_run_goes_on(tmp_path: Path, cell: Cell) -> None:
    assert trouble(cell, tmp_path) is None


def test_two_processes_of_which_one_meets_the_fault() -> None:
    table = [Cell("SFT", "NaN, one row", False, 2, "skip"), Cell("QStar", "NaN, one row", False, 2, "stop")]
    assert [row["trouble"] for row in run_on_two(table, "fsdp2", limit_s=300)] == [None, None]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_whole_table_in_one_process(tmp_path: Path) -> None:
    assert [row for row in run_cells(cells(1), tmp_path) if row["trouble"]] == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("strategy", ["ddp", "fsdp2"])
def test_the_whole_table_in_two_processes(strategy: str) -> None:
    assert [row for row in run_on_two(cells(2), strategy, limit_s=3500) if row["trouble"]] == []


@pytest.mark.parametrize("batch", [3, 4])
def test_a_fault_in_an_accumulation_window_stops_the_whole_window(tmp_path: Path, batch: int) -> None:
    with pytest.raises(NonFiniteError, match=r"^loss must be finite, got nan, loss/nats_per_token is nan, in step 3,"):
        fit(make("SFT", Stop()), tmp_path, 4, callbacks=[Fault("NaN, one row", batch)], accumulate_grad_batches=2)
    fit(make("SFT", Stop()), tmp_path, 4, tmp_path / "last.ckpt", accumulate_grad_batches=2)
    fit(make("SFT", Stop()), tmp_path / "alone", 4, accumulate_grad_batches=2)
    assert same(state_of(tmp_path / "last.ckpt"), state_of(tmp_path / "alone" / "last.ckpt"))


def test_a_window_that_is_left_out_is_left_out_of_the_metrics_too(tmp_path: Path) -> None:
    fault = Fault("NaN, one row", 2)
    options = {"diagnostics": True, "callbacks": [fault], "accumulate_grad_batches": 2}
    with pytest.warns(UserWarning, match=r"step 2 is left out \(1 so far\): loss must be finite, got nan"):
        trainer = fit(make("SFT", Skip()), tmp_path, 3, **options)
    rows = dict(trainer.logger.calls)
    assert sorted(rows) == [1, 2, 3]
    assert all(math.isfinite(value) for row in rows.values() for value in row.values())
    assert [row.get("steps/skipped") for row in (rows[1], rows[2], rows[3])] == [None, 1.0, 1.0]
    assert "loss/total" not in rows[2]
    assert "grad/norm" not in rows[2]
    samples = [row["samples/total"] for row in (rows[1], rows[2], rows[3])]
    assert samples == sorted(set(samples))  # what was read was read


def test_no_more_than_the_limit_is_left_out_and_a_resumed_run_goes_on_counting(tmp_path: Path) -> None:
    class Always(Fault):
        def on_train_batch_start(self, *_):
            self.armed = True

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit(make("SFT", Skip(limit=2)), tmp_path, 1, callbacks=[Always("NaN, one row")])
        with pytest.raises(NonFiniteError, match=r"in step 3, .*; 2 steps were left out before it, as many as may be"):
            fit(make("SFT", Skip(limit=2)), tmp_path, 9, tmp_path / "last.ckpt", callbacks=[Always("NaN, one row")])


def test_a_reward_that_is_only_looked_at_stops_too_and_the_best_of_them_is_not_nan(tmp_path: Path) -> None:
    module = make("RejectionSampling", Stop())
    module.keep = KeepBest()
    message = (
        r"^reward must be finite, got nan from LengthReward for 1 of 24 answers, the first in row 1, to '.+' \(.+\), in"
    )
    with pytest.raises(NonFiniteError, match=message):
        fit(module, tmp_path, 3, callbacks=[Fault("NaN, one row")])


class Scaled(MixedPrecision):
    """float16's loss scaling, on this device without its autocast."""

    def __init__(self, scale: float) -> None:
        super().__init__("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=scale))

    def autocast_context_manager(self):
        return torch.autocast("cpu", enabled=False)


@pytest.mark.parametrize("name", ["SFT", "PPO"])
def test_a_loss_scaler_that_looks_for_its_scale_is_nobodys_fault(tmp_path: Path, name: str) -> None:
    plugin = Scaled(2.0**127)
    module = make(name, Stop())
    fit(module, tmp_path, BATCHES, plugins=[plugin])
    assert plugin.scaler.get_scale() < 2.0**127
    assert module.skipped_steps == 0


@pytest.mark.parametrize("name", ["SFT", "QStar", "PPO"])
def test_a_fault_under_a_loss_scaler_is_one_all_the_same(tmp_path: Path, name: str) -> None:
    with pytest.raises(NonFiniteError, match=r"^(loss|reward) must be finite, got nan"):
        fit(make(name, Stop()), tmp_path, 3, callbacks=[Fault("NaN, one row")], plugins=[Scaled(4.0)])
    module = make(name, Skip())
    with pytest.warns(UserWarning, match="is left out"):
        fit(module, tmp_path / "skip", 3, callbacks=[Fault("NaN, one row")], plugins=[Scaled(4.0)])
    assert module.skipped_steps == (2 if name == "PPO" else 1)
    assert all(value.isfinite().all() for value in state_of(tmp_path / "skip" / "last.ckpt").values())


def test_a_gradient_that_no_loss_scale_mends_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError, match=r"^the gradient must be finite, got nan in policy"):
        fit(make("SFT", Stop()), tmp_path, 9, callbacks=[Spoil("gradient", since=0)], plugins=[Scaled(4.0)])


class Spoil(Callback):
    """Puts a NaN where it is not seen in any loss."""

    def __init__(self, what: str, since: int = 2) -> None:
        self.what, self.since = what, since

    def on_after_backward(self, trainer, module):
        if self.what == "gradient" and trainer.global_step >= self.since:
            module.policy.transformer.ln_f.weight.grad[3] = math.nan

    def on_train_batch_end(self, trainer, module, *_):
        if trainer.global_step == self.since:
            if self.what == "weight":
                with torch.no_grad():
                    module.policy.transformer.ln_f.weight[3] = math.inf
            if self.what == "moment":
                optimizer = trainer.optimizers[0]
                optimizer.state[module.policy.transformer.ln_f.weight]["exp_avg"][3] = math.nan


def test_a_gradient_alone_stops_a_step_and_is_named(tmp_path: Path) -> None:
    message = r"^the gradient must be finite, got nan in policy\.transformer\.ln_f\.weight, in step 3, which was not"
    with pytest.raises(NonFiniteError, match=message):
        fit(make("DPO", Stop()), tmp_path, 4, callbacks=[Spoil("gradient")])
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 2


@pytest.mark.parametrize(("what", "name"), [("weight", ""), ("moment", "the optimizer's exp_avg of ")])
def test_what_is_not_finite_is_never_saved_over_what_is(tmp_path: Path, what: str, name: str) -> None:
    message = (
        f"^what is saved must be finite, got .* in {name}policy.transformer.ln_f.weight, at step 2: nothing was saved"
    )
    with pytest.raises(NonFiniteError, match=message):
        fit(make("SFT", Stop()), tmp_path, 4, callbacks=[Spoil(what)])
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 1
    assert sorted(path.name for path in tmp_path.glob("*.ckpt")) == ["epoch=0-step=1.ckpt", "last.ckpt"]


def test_nor_where_every_exception_is_saved(tmp_path: Path) -> None:
    writers = [ModelCheckpoint(tmp_path / "more", save_last=True, save_on_exception=True, every_n_train_steps=2)]
    writers.append(OnExceptionCheckpoint(tmp_path / "more", "exception"))
    with pytest.raises(NonFiniteError, match=r"^weights must be finite"):
        fit(make("SFT", Stop()), tmp_path, 4, callbacks=[Fault(RATE), *writers])
    assert torch.load(tmp_path / "more" / "last.ckpt", weights_only=True)["global_step"] == 2
    assert not (tmp_path / "more" / "exception.ckpt").exists()


def test_what_is_saved_at_an_exception_is_the_state_before_the_step(tmp_path: Path) -> None:
    writer = ModelCheckpoint(tmp_path / "more", save_last=True, save_on_exception=True, every_n_train_steps=100)
    with pytest.raises(NonFiniteError, match=r"^loss must be finite"):
        fit(make("SFT", Stop()), tmp_path, 4, callbacks=[Fault("NaN, all rows"), writer])
    assert same(state_of(tmp_path / "more" / "last.ckpt"), state_of(tmp_path / "last.ckpt"))


def test_without_a_checkpoint_none_is_promised(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError, match="in step 1, which was not taken: no checkpoint was written before; "):
        fit(make("SFT", Stop()), tmp_path, 2, callbacks=[Fault("NaN, one row", 0)])


def test_models_are_looked_at_before_the_first_step(tmp_path: Path) -> None:
    class Broken(Callback):
        def on_fit_start(self, trainer, module):
            next(module.target.parameters()).view(-1)[3] = math.nan

    module = make("QStar", Stop())
    with pytest.raises(NonFiniteError, match=r"^weights must be finite, got nan in target\..*, before the first step$"):
        fit(module, tmp_path, 2, callbacks=[Broken()])


@pytest.mark.parametrize("name", ["QStar", "OffPolicy", "PPO"])
def test_truncated_samplers_are_no_fault(tmp_path: Path, name: str) -> None:
    """Under top-p and top-k most log-probabilities of q are −inf."""
    module = make(name, Stop())
    module.sampler = replace(module.sampler, top_p=0.3, top_k=5)
    fit(module, tmp_path, 2)
    assert module.skipped_steps == 0


@pytest.mark.parametrize("name", ["QStar", "PPO"])
def test_a_model_that_gives_no_distribution_ends_the_run_and_names_the_checkpoint(tmp_path: Path, name: str) -> None:
    class Wild(Callback):
        def on_train_batch_start(self, trainer, module, batch, batch_idx):
            if trainer.global_step > 0:
                module.policy.transformer.ln_f.register_forward_hook(lambda part, given, said: said * math.nan)

    message = rf"(?i)nan.*, in step {3 if name == 'PPO' else 2}, which was not .* --ckpt_path {tmp_path}/last\.ckpt"
    with pytest.raises(NonFiniteError, match=message):
        fit(make(name, Skip()), tmp_path, 3, callbacks=[Wild()])


def test_the_limit_is_checked() -> None:
    with pytest.raises(UserError, match="limit must be at least 1, got 0"):
        Skip(limit=0)
