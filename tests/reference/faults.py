"""Every method, met by something that is not finite: what stops, what is left out, and what a run can go on from.

Run as `python faults.py <folder> <strategy> <cells as JSON> <output>`, once per rank, with LOCAL_RANK, NODE_RANK,
WORLD_SIZE, MASTER_ADDR set, it does the same on two processes, of which only the second meets the fault.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint

sys.path.insert(0, str(Path(__file__).parents[1]))

from reference.every_method import METHODS as ALL
from reference.every_method import ppo
from reference.tiny_methods import TinyData
from reference.toy_training import Memory

from qstar_pl.callbacks import default_diagnostics
from qstar_pl.errors import NonFiniteError
from qstar_pl.methods import RewardModeling
from qstar_pl.methods.bases.rollout_module import RolloutModule
from qstar_pl.training.non_finite import NonFinite, Skip, Stop

METHODS = {name: make for name, make in ALL.items() if " " not in name} | {"PPO": lambda: ppo(2)}
RATE = "lr 1e30"
FAULTS = ("NaN, one row", "inf, one row", "NaN, all rows", "inf, all rows", RATE)
ANSWERS: dict[str, NonFinite] = {"stop": Stop(), "skip": Skip()}
BATCHES = 4
FAULTY = 2
"""The batch that meets the fault, from 0."""


@dataclass(frozen=True)
class Cell:
    """One case of the table."""

    method: str
    fault: str
    diagnostics: bool
    processes: int
    answer: str


def cells(processes: int) -> list[Cell]:
    """Return the whole table for a number of processes."""
    return [
        Cell(method, fault, diagnostics, processes, answer)
        for method in METHODS
        for fault in FAULTS
        for diagnostics in (False, True)
        for answer in ANSWERS
        if answer == "stop" or fault != RATE  # an update cannot be taken back
    ]


class Fault(Callback):
    """Spoils one batch: the rewards of its answers, or what the model says of its rows, or the learning rate."""

    def __init__(self, kind: str, batch: int = FAULTY, rank: int = 0) -> None:
        self.kind, self.batch, self.rank = kind, batch, rank
        self.value = float("nan") if kind.startswith("NaN") else float("inf")
        self.armed = False
        self.count = 0

    def rows(self, count: int) -> Any:
        return slice(None) if "all" in self.kind else slice(min(1, count - 1), min(1, count - 1) + 1)

    def on_fit_start(self, trainer: Any, module: Any) -> None:
        if isinstance(module, RolloutModule):
            judge = module.reward.score
            module.reward.score = lambda *given: self.spoil(judge(*given))
        elif isinstance(module, RewardModeling):
            module.model.model.score.register_forward_hook(self._spoil_head)
        else:
            module.policy.register_forward_hook(self._spoil_output)

    def _spoil_head(self, part: Any, given: Any, said: torch.Tensor) -> torch.Tensor:
        return self.spoil(said) if torch.is_grad_enabled() else said  # not where the model is looked at beforehand

    def _spoil_output(self, part: Any, given: Any, said: Any) -> Any:
        said.logits = self.spoil(said.logits) if torch.is_grad_enabled() else said.logits
        return said

    def spoil(self, values: torch.Tensor) -> torch.Tensor:
        if not self.armed:
            return values
        factors = torch.ones_like(values)
        factors[self.rows(len(values))] = self.value
        return values * factors + torch.where(factors == 1, 0.0, factors)

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        due, self.count = self.count == self.batch, self.count + 1
        if self.kind == RATE:
            for group in trainer.optimizers[0].param_groups if due else ():
                group["lr"] = 1e30
        else:
            self.armed = due and trainer.global_rank == min(self.rank, trainer.world_size - 1)


def state_of(path: Path) -> dict[str, torch.Tensor]:
    """Return weights and moments in a checkpoint, once every process has done with it."""
    meet()
    contents = torch.load(path, weights_only=True)
    state = dict(contents["state_dict"])
    for index, optimizer in enumerate(contents["optimizer_states"]):
        for parameter, values in optimizer["state"].items():
            state |= {f"{index}.{parameter}.{name}": torch.as_tensor(value) for name, value in values.items()}
    meet()
    return state


def meet() -> None:
    if torch.distributed.is_initialized():
        torch.distributed.barrier()


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[key], value) for key, value in two.items())


def make(method: str, answer: NonFinite) -> Any:
    module = METHODS[method]()
    module.optimizer = partial(torch.optim.AdamW, lr=1e-3)
    module.watch.strategy = answer
    return module


def fit(module: Any, folder: Path, batches: int, start: Path | None = None, **options: Any) -> Trainer:
    """Train with a checkpoint after every batch, `last.ckpt` among them."""
    seed_everything(0, verbose=False)
    more = {"callbacks": [], "diagnostics": False, "devices": 1, **options}
    callbacks = [*(default_diagnostics() if more.pop("diagnostics") else ()), *more.pop("callbacks")]
    callbacks.append(ModelCheckpoint(folder, save_last=True, every_n_train_steps=1, save_top_k=1))
    trainer = Trainer(
        accelerator="cpu",
        logger=Memory(),
        callbacks=callbacks,
        log_every_n_steps=1,
        limit_val_batches=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        max_steps=batches * (1 if module.automatic_optimization else module.steps.per_rollout),
        **more,
    )
    data = TinyData(batch_size=8 // trainer.world_size)
    trainer.fit(module, data, ckpt_path=start)
    return trainer


def wanted(cell: Cell) -> str:
    """Return how the message must begin."""
    if cell.fault == RATE:
        return "weights must be finite, got "
    if issubclass(type(METHODS[cell.method]()), RolloutModule):
        return f"reward must be finite, got {'nan' if cell.fault.startswith('NaN') else 'inf'} from LengthReward for "
    return "loss must be finite, got nan"


_ALONE: dict[tuple[Cell, int, str], Path] = {}


def alone(cell: Cell, folder: Path, batches: int, **options: Any) -> Path:
    """Return the last checkpoint of the run that met no fault."""
    key = (replace(cell, fault="", answer=""), batches, str(options.get("strategy")))
    if key not in _ALONE:
        fit(make(cell.method, Stop()), folder / f"alone{batches}", batches, **options)
        _ALONE[key] = folder / f"alone{batches}" / "last.ckpt"
    return _ALONE[key]


def trouble(cell: Cell, folder: Path, **options: Any) -> str | None:
    """Run a cell, and return what is wrong with how it went; None if nothing is."""
    folder.mkdir(parents=True, exist_ok=True)
    fault = Fault(cell.fault, rank=cell.processes - 1)
    options["diagnostics"] = cell.diagnostics
    module = make(cell.method, ANSWERS[cell.answer])
    faulty, last = folder / "faulty", folder / "faulty" / "last.ckpt"
    said = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            fit(module, faulty, BATCHES, callbacks=[fault], **options)
        except NonFiniteError as error:
            said = str(error)
    steps = 1 if module.automatic_optimization else module.steps.per_rollout
    if cell.answer == "stop" or cell.fault == RATE:
        return _trouble_of_stop(cell, folder, said, steps, options)
    lines = [str(one.message) for one in caught if "is left out" in str(one.message)]
    wrong = [f"stopped: {said}"] * (said is not None)
    if module.skipped_steps != steps or (module.global_rank == 0 and len(lines) != steps):
        wrong.append(f"{module.skipped_steps} steps were left out, with {len(lines)} lines")
    wrong += [f"said {line}" for line in lines if wanted(cell) not in line]
    whole = state_of(last)
    if not all(value.isfinite().all() for value in whole.values()):
        wrong.append("what was saved is not finite")
    # What was left out changes nothing; and from the checkpoint after it the run goes on as if it had never ended.
    again, before = folder / "again", alone(cell, folder, FAULTY, **options)
    resumed = make(cell.method, Skip())
    fit(resumed, again, FAULTY + 1, before, callbacks=[Fault(cell.fault, 0, cell.processes - 1)], **options)
    if not same(state_of(before), state_of(again / "last.ckpt")):
        wrong.append("the step that was left out changed weights or moments")
    fit(make(cell.method, Skip()), again, BATCHES, again / "last.ckpt", **options)
    if not same(state_of(again / "last.ckpt"), whole):
        wrong.append("the resumed run is another one")
    return "; ".join(wrong) or None


def _trouble_of_stop(cell: Cell, folder: Path, said: str | None, steps: int, options: Any) -> str | None:
    last = folder / "faulty" / "last.ckpt"
    if said is None:
        return "did not stop"
    step = FAULTY * steps + 1
    rest = f"after step {step}: " if cell.fault == RATE else f"in step {step}, which was not taken: "
    as_wanted = said.startswith(wanted(cell)) and rest in said and str(last) in said and "\n" not in said
    wrong = [] if as_wanted else [f"said {said}"]
    contents = torch.load(last, weights_only=True)
    if contents["global_step"] != FAULTY * steps:
        wrong.append("the last checkpoint is not the one before the fault")
    meet()
    fit(make(cell.method, Stop()), folder / "faulty", BATCHES, last, **options)
    if not same(state_of(last), state_of(alone(cell, folder, BATCHES, **options))):
        wrong.append("the resumed run is another one")
    return "; ".join(wrong) or None


def run_cells(table: list[Cell], folder: Path, show: bool = False, **options: Any) -> list[dict[str, Any]]:
    """Run cells one after the other in this process."""
    rows = []
    for number, cell in enumerate(table):
        began = time.monotonic()
        said = trouble(cell, folder / str(number), **options)
        rows.append({**asdict(cell), "trouble": said, "seconds": time.monotonic() - began})
        if show:
            print(f"{cell.method:18}{cell.fault:15}{said or 'as wanted'}", flush=True)
    return rows


def start(rank: int, folder: Path, strategy: str, table: list[Cell], output: Path) -> subprocess.Popen[bytes]:
    """Start one of two processes that run cells together; what it says goes to a file."""
    places = {"MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": "2", "NODE_RANK": "0", "LOCAL_RANK": str(rank)}
    words = [str(folder), strategy, json.dumps([asdict(cell) for cell in table]), str(output)]
    return subprocess.Popen(
        [sys.executable, __file__, *words],
        env={**os.environ, **places, "OMP_NUM_THREADS": "1"},
        stdout=(folder / f"said{rank}").open("wb"),
        stderr=subprocess.STDOUT,
    )


def run_on_two(table: list[Cell], strategy: str, limit_s: float) -> list[dict[str, Any]]:
    """Run cells on two processes, and return what the first of them found."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        processes = [start(rank, folder, strategy, table, folder / "rows.json") for rank in (0, 1)]
        try:
            codes = [process.wait(limit_s) for process in processes]
        finally:
            for process in processes:
                process.kill()
        if any(codes):
            raise RuntimeError("\n".join((folder / f"said{rank}").read_text()[-3000:] for rank in (0, 1)))
        rows: list[dict[str, Any]] = json.loads((folder / "rows.json").read_text())
        return rows


def main() -> None:
    folder, strategy, table, output = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]), Path(sys.argv[4])
    rank = int(os.environ["LOCAL_RANK"])
    torch.distributed.init_process_group("gloo", (folder / "meeting").as_uri(), rank=rank, world_size=2)
    rows = run_cells([Cell(**cell) for cell in table], folder, show=True, strategy=strategy, devices=2)
    if rank == 0:
        output.write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
