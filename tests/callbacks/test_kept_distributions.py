"""Counts of α and log-weights per log window, in a file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.loggers import CSVLogger
from reference.toy_training import make_rows, report_of, take, train
from torch import Tensor

from qstar_pl.callbacks import KeptDistributions
from qstar_pl.run_folders.kept import DISTRIBUTIONS, whole_lines
from qstar_pl.types import StepReport

ROWS = make_rows(24, 11)


def quarter(number: int, loss: Tensor) -> StepReport:
    return report_of(take(ROWS, range(6 * (number % 4), 6 * (number % 4) + 6)), loss)


def run(folder: Path, micro_steps: int, **options: Any) -> Path:
    logger = CSVLogger(folder, name="", version="")
    train(quarter, micro_steps, [KeptDistributions()], loggers=[logger], every=2, **options)
    return folder / DISTRIBUTIONS


def histogram(values: Any, edges: list[float]) -> list[int]:
    open_ends = [-np.inf, *edges, np.inf] if len(edges) == 61 else edges
    return np.histogram(values, open_ends)[0].tolist()


def test_counts_are_those_of_all_micro_steps_of_a_window(tmp_path: Path) -> None:
    header, *windows = whole_lines(run(tmp_path, 8, accumulate_grad_batches=2))
    weighted = report_of(ROWS, torch.tensor(1.0)).weighted
    mask = weighted.scored.rollout.completion_mask
    alpha = weighted.scored.rollout.alpha[mask].double().numpy()
    log_weights = torch.where(mask, weighted.log_weights.double(), 0.0).sum(-1)[mask.any(-1)].numpy()
    assert [window["step"] for window in windows] == [2, 4]
    for window in windows:  # each of the two has seen all rows
        assert window["alpha"] == histogram(alpha, header["edges"]["alpha"])
        assert window["log_weights"] == histogram(log_weights, header["edges"]["log_weights"])
        assert (sum(window["alpha"]), sum(window["log_weights"])) == (len(alpha), len(log_weights))


def test_what_lies_on_an_edge_belongs_to_the_bin_above_it(tmp_path: Path) -> None:
    edges = torch.tensor([0.0, 0.25, 0.5, 1.0])
    kept = KeptDistributions()
    found: dict[str, float] = {}
    kept.add = lambda name, value: found.update({name: float(value)})  # type: ignore[method-assign, assignment]
    kept._count("alpha", edges, torch.ones(4, dtype=torch.bool))
    assert {int(name.split("/")[1]) for name, count in found.items() if count} == {0, 5, 10, 19}
    kept._count("log_weights", torch.tensor([-15.0, 0.0, 15.0, -16.0]), torch.tensor([True, True, True, False]))
    counted = {int(name.split("/")[1]) for name, count in found.items() if count and name.startswith("log")}
    assert counted == {1, 31, 61}


def test_what_a_kill_has_cut_short_or_comes_again_is_written_anew(tmp_path: Path) -> None:
    file = run(tmp_path / "whole", 6)
    whole = file.read_bytes()
    lines = whole.splitlines(keepends=True)
    later = json.dumps({"step": 8, "alpha": [], "log_weights": []}).encode() + b"\n"
    for left in (lines[0], b"".join(lines) + later, b"".join(lines[:2]) + lines[2][:7]):
        again = tmp_path / "again" / DISTRIBUTIONS
        again.parent.mkdir(exist_ok=True)
        again.write_bytes(left)
        assert run(again.parent, 6).read_bytes() == whole


def test_methods_that_draw_nothing_leave_no_file(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path, name="", version="")
    train(lambda number, loss: StepReport(loss.detach(), {}, 4, 20), 2, [KeptDistributions()], loggers=[logger])
    assert not (tmp_path / DISTRIBUTIONS).exists()
