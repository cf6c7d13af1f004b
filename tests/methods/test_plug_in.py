"""A method from outside the package: one class, named by its path on the real command line."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from small_run import SMALL

METHOD = '''
from dataclasses import replace
from typing import Any

from qstar_pl.methods.bases.rollout_module import RolloutModule
from qstar_pl.methods.q_star import policy_gradient
from qstar_pl.types import LossReport, PromptBatch


class Halved(RolloutModule):
    """The gradient of QStar, times a share."""

    def __init__(self, share: float = 0.5, **kwargs: Any) -> None:
        """Describe the method.

        Args:
            share: of the gradient.
            **kwargs: see `RolloutModule`.

        """
        super().__init__(**kwargs)
        self.share = share

    def training_step(self, batch: PromptBatch, batch_idx: int) -> dict[str, Any]:
        """One rollout, one gradient."""
        rollout = self.draw(batch)
        completions = self.decode(rollout)
        reference = self.reference_logprobs(rollout)
        weighted = self.weigh(self.score(rollout, completions), reference)
        whole = policy_gradient(self, weighted, reference)
        report = LossReport(self.share * whole.loss, {"whole": whole.loss.detach()})
        return self.step_output(self.rollout_report(weighted, report, reference, completions), report.loss)
'''


def test_a_method_of_ones_own_trains_and_goes_on(
    qstar: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plugged_in.py").write_text(METHOD)
    monkeypatch.syspath_prepend(tmp_path)
    own = ("--model=plugged_in.Halved", "--model.share=0.25", "--model.samples_per_prompt=2")
    words = ("fit", *SMALL, *own, "--model.sampler.max_new_tokens=4", "--trainer.limit_val_batches=0", "--name=mine")
    for steps in ("1", "2"):
        code, _, err = qstar(*words, f"--trainer.max_steps={steps}", "--ckpt_path=auto")
        assert code == 0, err
    with Path("runs/mine/version_0/metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["loss/whole"]]
    assert len(rows) == 2
    for row in rows:
        assert float(row["loss/total"]) == pytest.approx(0.25 * float(row["loss/whole"]), rel=1e-5, abs=1e-9)
    contents = torch.load("runs/mine/version_0/checkpoints/last.ckpt", weights_only=True)
    assert contents["global_step"] == 2
    assert {name.split(".")[0] for name in contents["state_dict"]} == {"policy"}
