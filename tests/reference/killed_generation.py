"""Runs of `qstar generate` that are killed: `python killed_generation.py <folder>`, in a process of its own.

Everything is imported once; each run is a fork, so that a kill takes what SIGKILL takes, and costs no second import.
Leaves reference, killed, ranks, single, single_ranks and single_shards.jsonl and what belongs
to them in the folder, and prints how many rows each kill left, and the exit codes of two processes that were told to
stop.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from lightning.pytorch.strategies import Strategy
from small_generation import SMALL, small_settings
from torch.distributed.tensor import DTensor

from qstar_pl.cli import main as main_of_qstar
from qstar_pl.distributed import FSDP2Strategy
from qstar_pl.generation import GenerationModule, generate_dataset

SETTINGS = {"end_idx": 40, "batch_size": 2, "max_new_tokens": 12, "save_diagnostics": "tokens"}


def fork(call: Callable[[], object]) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        call()
        code = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)


def wait(child: int) -> None:
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise RuntimeError(f"a run ended with status {status}")


def run(output: Path, devices: int = 1, strategy: str | Strategy = "ddp", **changes: Any) -> None:
    strategy = strategy if devices > 1 else "auto"
    with redirect_stdout(io.StringIO()):
        generate_dataset(
            small_settings(**{**SETTINGS, **changes}), output, devices=devices, strategy=strategy, progress=False
        )


def lines(work: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in work.glob("shard-*.jsonl"))


def kill_at(output: Path, rows: int) -> int:
    """Start a run, kill it once so many rows are on the disk, and return how many are left."""
    work = output.with_name(f"{output.name}.work")
    child = fork(lambda: run(output))
    while lines(work) < rows:
        if os.waitpid(child, os.WNOHANG) != (0, 0):
            raise RuntimeError("the run ended before it could be killed")
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return lines(work)


def unused_port() -> int:
    """Return a port that stays free until it is bound, however long that takes on a busy machine.

    Not one that the system chooses: it gives those to any connection that is made in the meantime.
    """
    first = 20_000 + os.getpid() % 10_000  # other processes begin elsewhere
    for port in range(first, first + 100):
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port
    raise RuntimeError(f"no port from {first} on is free")


def begin_two_ranks(call: Callable[[], object]) -> list[int]:
    """Start two processes of one run."""
    port = unused_port()
    children = []
    for rank in range(2):
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), WORLD_SIZE="2", NODE_RANK="0")
        os.environ.update(LOCAL_RANK=str(rank))
        children.append(fork(call))
    return children


def two_ranks(output: Path, **changes: Any) -> None:
    """Run on two processes."""
    for child in begin_two_ranks(lambda: run(output, devices=2, **changes)):
        wait(child)


def sharded(output: Path, **changes: Any) -> None:
    """Run one of two processes that share the parameters of the models, block by block."""
    draw = GenerationModule.draw

    def draw_from_shards(module: GenerationModule, prompts: Any) -> Any:
        assert all(isinstance(parameter, DTensor) for parameter in module.parameters()), "none is whole"
        return draw(module, prompts)

    GenerationModule.draw = draw_from_shards  # in this process, which is a fork
    run(output, devices=2, strategy=FSDP2Strategy(gathering="streamed"), **changes)


def stop_two_ranks(output: Path, rows: int) -> tuple[list[int], int]:
    """Send SIGTERM to both processes once so many rows are on the disk; return their exit codes and the rows left."""
    options = {**SMALL, **SETTINGS, "device": "cpu", "devices": 2, "strategy": "ddp", "output": output}
    words = ["generate", "--quiet", *(f"--{name}={value}" for name, value in options.items())]
    children = begin_two_ranks(lambda: os._exit(main_of_qstar(words)))
    work = output.with_name(f"{output.name}.work")
    while lines(work) < rows:
        time.sleep(0.002)
    for child in children:
        os.kill(child, signal.SIGTERM)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return codes, lines(work)


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    wait(fork(lambda: run(folder / "reference.jsonl")))
    kept = [kill_at(folder / "killed.jsonl", rows) for rows in (9, 50)]
    torn = folder / "killed.jsonl.work" / "shard-00000.jsonl"
    with torn.open("ab") as file:
        file.write(b'{"batch": 3, "row": 1, "rec')  # what a power cut may leave
    wait(fork(lambda: run(folder / "killed.jsonl")))
    # Begun by one process, stopped and ended by two.
    kept.append(kill_at(folder / "ranks.jsonl", 21))
    codes, left = stop_two_ranks(folder / "ranks.jsonl", 33)
    kept.append(left)
    two_ranks(folder / "ranks.jsonl")
    # One batch: the second process has nothing to do.
    wait(fork(lambda: run(folder / "single.jsonl", end_idx=2)))
    two_ranks(folder / "single_ranks.jsonl", end_idx=2)
    for child in begin_two_ranks(lambda: sharded(folder / "single_shards.jsonl", end_idx=2)):
        wait(child)
    print(json.dumps([kept, codes]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
