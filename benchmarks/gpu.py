"""All that needs a GPU, in one run: `python benchmarks/gpu.py [--parts kernel …] [--limit_s 300] [--output FILE]`.

Nothing here is needed elsewhere; on a machine without a GPU the project passes its tests without this file. Parts:

- correctness: the fused kernel against float64 on the CPU (α, log q, all columns, a G-test of its draws), and rollouts
  by the kernel, operation by operation, and on the CPU;
- kernel: its microseconds beside the bandwidth of a copy, for 1 to 384 rows; the same token operation by operation and
  compiled;
- gpt2, qwen: tokens per second of q* (operation by operation, kernel, compiled, speculative) beside two bare forwards,
  waits and launches per token; random models of the shapes of GPT-2 124M and Qwen2.5-1.5B;
- memory: two models that share 1.5B weights, beside two copies;
- training: `qstar fit` and `qstar generate` on the device and on the CPU;
- tests: those that run on a device.

`--ways` picks what gpt2, qwen (bare, kernel, operations, speculative, compiled, counts), kernel (kernel, operations,
compiled) and training (fits and generate by name) measure. `warm` compiles and times nothing: a later call then finds
inductor's kernels in its cache; such calls may run beside each other.

A part is a process of its own: what goes wrong in it is printed, and the next one begins. Findings are written as they
come, one line of JSON each, to --output (default: `gpu.jsonl` in $OUT, or here); tables come last. `--device=cpu
--tiny` tries the script out; with TRITON_INTERPRET=1 the kernel runs there, too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

SHARES = {"correctness": 0.25, "kernel": 0.35, "gpt2": 0.6, "training": 0.7, "tests": 0.3, "memory": 0.3, "qwen": 1.0}
"""Parts in their order, and how much of the time that is left each may take."""


def part(name: str) -> Callable[..., None]:
    """Return what runs a part; only its own process imports it."""
    if name in ("gpt2", "qwen"):
        from on_gpu import decoding

        return decoding.run_gpt2 if name == "gpt2" else decoding.run_qwen
    module = __import__(f"on_gpu.{name}", fromlist=["run"])
    run: Callable[..., None] = module.run
    return run


def run_part(name: str, options: argparse.Namespace) -> int:
    """Run one part in this process."""
    import torch
    from on_gpu.context import Context, OutOfTimeError

    torch.manual_seed(0)
    context = Context(name, options.device, options.tiny, options.output, options.limit_s, options.ways, options.rows)
    try:
        part(name)(context)
    except OutOfTimeError:
        context.record("ended", why=f"{options.limit_s:.0f} s are over")
    except Exception as error:  # the next part can do without this one
        lines = traceback.format_exception(error)
        context.record("failed", error=f"{type(error).__name__}: {error}"[:1500], trace="".join(lines)[-2500:])
        print("".join(lines)[-2500:], flush=True)
        return 1
    return 0


def run_all(options: argparse.Namespace) -> None:
    """Run the parts one after the other, each in a process of its own."""
    end = time.monotonic() + options.limit_s
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    source = Path(__file__).resolve().parents[1] / "src"
    environment["PYTHONPATH"] = os.pathsep.join([str(source), *filter(None, [os.environ.get("PYTHONPATH")])])
    if options.device == "cpu":
        environment.setdefault("TRITON_INTERPRET", "1")
    for name in options.parts:
        left = end - time.monotonic()
        limit = left if name == options.parts[-1] else left * SHARES[name]
        words = [sys.executable, __file__, "--part", name, f"--limit_s={limit - 3:.0f}", f"--device={options.device}"]
        words += [f"--output={options.output}", *(["--tiny"] if options.tiny else [])]
        words += ["--ways", *options.ways] if options.ways else []
        words += ["--rows", *map(str, options.rows)] if options.rows else []
        print(f"== {name}, at most {limit:.0f} s", flush=True)
        try:
            subprocess.run(words, env=environment, timeout=max(5.0, limit), check=False)
        except subprocess.TimeoutExpired:
            with options.output.open("a") as file:
                file.write(json.dumps({"part": name, "what": "stopped", "why": f"{limit:.0f} s are over"}) + "\n")


def table(lines: Sequence[dict[str, object]]) -> str:
    """Return what was found as Markdown, one list per part."""
    text = []
    for name in dict.fromkeys(str(line["part"]) for line in lines):
        text.append(f"\n### {name}\n")
        for line in lines:
            if line["part"] == name:
                said = "; ".join(f"{key} {_short(value)}" for key, value in line.items() if key not in ("part", "what"))
                text.append(f"- {line['what']}: {said}")
    return "\n".join(text)


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} {_short(item)}" for key, item in value.items()) + "}"
    text = str(value)
    return text if len(text) <= 300 else text[:150] + " … " + text[-150:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=SHARES, default=list(SHARES))
    parser.add_argument("--part", choices=SHARES, help=argparse.SUPPRESS)
    parser.add_argument("--ways", nargs="+", default=[], help="of parts that measure several; all if not given")
    parser.add_argument("--rows", nargs="+", type=int, default=[], help="batches of gpt2 and qwen")
    parser.add_argument("--limit_s", type=float, default=300.0, help="of all parts together")
    parser.add_argument("--output", type=Path, default=Path(os.environ.get("OUT", ".")) / "gpu.jsonl")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    if options.part is not None:
        sys.exit(run_part(options.part, options))
    if options.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            sys.exit("gpu: needs a CUDA device, or --device=cpu --tiny to try the script out")
        print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}", flush=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text("")
    run_all(options)
    print(table([json.loads(line) for line in options.output.read_text().splitlines()]))


if __name__ == "__main__":
    main()
