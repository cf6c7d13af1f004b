"""Every method met by NaN, infinity and a learning rate of 1e30: what stops, what is left out, what goes on.

Run as `python benchmarks/divergence.py [--processes 1 2] [--strategy ddp] [--methods QStar …]`, or `just bench
divergence`. One cell is a method, a fault (in one row or in all, of rewards where there are rewards, else of what the
model says; of two processes only the second meets it), with all diagnostics or without any, and what the run is to do
about it. A cell is as wanted if the run stops with one line that names what was not finite and the last checkpoint, or
leaves the step out with weights and moments as they were; if everything that was saved is finite; and if the run that
goes on from the last checkpoint ends in the same weights and moments, bit for bit, as one that was never stopped. Then
what watching costs: its share of a step, for GPT-2's smallest model. Exit code 1 if any cell is not as wanted.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

LIMIT_S = 7200.0


def table(processes: int, methods: list[str] | None, strategy: str) -> list[dict[str, Any]]:
    """Run all cells of some methods on one or two processes."""
    from reference.faults import cells, run_cells, run_on_two  # type: ignore[import-not-found]

    wanted = [cell for cell in cells(processes) if methods is None or cell.method in methods]
    if processes == 2:
        return list(run_on_two(wanted, strategy, LIMIT_S))
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        return list(run_cells(wanted, Path(folder)))


def show(rows: list[dict[str, Any]]) -> int:
    """Print how many cells of each method and fault are as wanted; return the number of those that are not."""
    counts: defaultdict[str, defaultdict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        counts[row["method"]][row["fault"]].append(row["trouble"] is None)
    faults = list(next(iter(counts.values())))
    print(f"{'method':19}" + "".join(f"{fault:>16}" for fault in faults))
    for method, by_fault in counts.items():
        cells = (f"{sum(by_fault[fault])}/{len(by_fault[fault])}" for fault in faults)
        print(f"{method:19}" + "".join(f"{cell:>16}" for cell in cells), flush=True)
    wrong = [row for row in rows if row["trouble"] is not None]
    for row in wrong:
        print(f"  {row['method']}, {row['fault']}, {row['answer']}, diagnostics {row['diagnostics']}: {row['trouble']}")
    return len(wrong)


def cost(steps: int = 3) -> tuple[float, float]:
    """Return the seconds of watching and of the rest of a step: GPT-2 124M, AdamW, 4 answers of 64 tokens, float32."""
    from transformers import GPT2Config, GPT2LMHeadModel

    from qstar_pl.checkpoints.finite import all_finite

    model = GPT2LMHeadModel(GPT2Config())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    ids = torch.randint(0, 50257, (4, 64))
    watching = rest = 0.0
    for number in range(steps + 1):
        times = [time.perf_counter()]
        model(input_ids=ids, labels=ids).loss.backward()
        times.append(time.perf_counter())
        before = bool(all_finite(p.grad for p in model.parameters() if p.grad is not None))
        times.append(time.perf_counter())
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.perf_counter())
        after = bool(all_finite(model.parameters()))
        times.append(time.perf_counter())
        assert before
        assert after
        if number:  # the first one also allocates
            watching += times[2] - times[1] + times[4] - times[3]
            rest += times[1] - times[0] + times[3] - times[2]
    return watching / steps, rest / steps


def main() -> int:
    parser = argparse.ArgumentParser(description="Methods, faults, and what a run makes of them.")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2], choices=[1, 2])
    parser.add_argument("--strategy", default="ddp", help="of two processes: ddp or fsdp2")
    parser.add_argument("--methods", nargs="+", help="default: all")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    wrong = total = 0
    for processes in arguments.processes:
        began = time.monotonic()
        rows = table(processes, arguments.methods, arguments.strategy)
        how = f", {arguments.strategy}" if processes > 1 else ""
        print(f"\n{processes} process(es){how}: {len(rows)} cells in {time.monotonic() - began:.0f} s")
        wrong, total = wrong + show(rows), total + len(rows)
    watching, rest = cost()
    print(
        f"\n{total} cells, {wrong} not as wanted; watching takes {watching:.4f} s of a step of {watching + rest:.2f} s"
    )
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
