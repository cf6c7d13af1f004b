"""Commands on the device beside the same on the CPU: `qstar fit` on the tiny world, and `qstar generate`."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from on_gpu.context import Context

STEPS = 20
COLUMNS = ("loss/total", "alpha/mean", "ess/ratio", "reward/mean", "kl/policy_reference")
QUESTIONS = ("What color is the sky?", "Who lives in the red house?", "What is two and three?", "Where is the cat?")


def run(context: Context) -> None:
    """Run every command in an empty folder, all at once: no times are taken here."""
    steps = 2 if context.tiny else STEPS
    kind = "gpu" if context.device == "cuda" else "cpu"
    ways = {
        "CPU, float32": ("--trainer.accelerator=cpu",),
        f"{kind}, float32": (f"--trainer.accelerator={kind}",),
        f"{kind}, bf16-mixed": (f"--trainer.accelerator={kind}", "--trainer.precision=bf16-mixed"),
        f"{kind}, operation by operation": (f"--trainer.accelerator={kind}", "--model.sampler.fused=false"),
        f"{kind}, compiled": (f"--trainer.accelerator={kind}", "--model.sampler.torch_compile=true"),
    }
    ways = {name: words for name, words in ways.items() if context.wanted(name)}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(len(ways) + 1) as pool:
        place = Path(folder)
        texts = pool.submit(_generate, context, place) if context.wanted("generate") else None
        fits = {name: pool.submit(_fit, context, place, name, steps, words) for name, words in ways.items()}
        found = {name: done.result() for name, done in fits.items()}
        plain = found.pop("CPU, float32", [])
        for name, rows in found.items():
            if rows and plain:
                first = {column: abs(float(rows[0][column]) - float(plain[0][column])) for column in COLUMNS}
                context.record(f"first step, {name} beside the CPU", **first)
        if texts is not None:
            texts.result()


def _fit(context: Context, place: Path, name: str, steps: int, words: tuple[str, ...]) -> list[dict[str, str]]:
    label = "".join(letter if letter.isalnum() else "_" for letter in name)
    command = [
        *("fit", "--config=experiment/tiny_q_star", f"--name={label}", *words),
        *(f"--trainer.max_steps={steps}", f"--trainer.val_check_interval={steps}", "--trainer.limit_val_batches=1"),
    ]
    spent, done = _qstar(context, place, command)
    files = sorted(place.glob(f"runs/{label}/*/metrics.csv"))
    rows = [row for row in csv.DictReader(files[-1].open()) if row.get("loss/total")] if files else []
    found: dict[str, object] = {"exit": done.returncode, "seconds": spent, "steps": len(rows)}
    if done.returncode:
        found["said"] = done.stderr.split("Extension modules")[0][:4000]  # the innermost calls come first
    else:
        found["notices"] = [line for line in done.stderr.splitlines() if line.startswith(("notice", "warning"))][:5]
    if rows:
        found["first"] = {column: rows[0].get(column) for column in COLUMNS}
        found["last"] = {column: rows[-1].get(column) for column in COLUMNS}
        found["step_s"] = rows[-1].get("time/step_s")
    context.record(f"fit, {name}", **found)
    return rows


def _generate(context: Context, place: Path) -> None:
    """Draw the same answers on both devices."""
    count = 8 if context.tiny else 64
    lines = [json.dumps({"question": QUESTIONS[i % len(QUESTIONS)]}) for i in range(count)]
    (place / "questions.jsonl").write_text("\n".join(lines) + "\n")
    texts = {}
    for device in dict.fromkeys(("cpu", context.device)):
        command = [
            *("generate", "--model_theta=tiny/policy", "--model_t=tiny/expert", "--dataset=questions.jsonl"),
            *("--prompt_field=question", f"--device={device}", f"--output={device}.jsonl"),
        ]
        spent, done = _qstar(context, place, command)
        context.record(f"generate, {device}", exit=done.returncode, seconds=spent, said=done.stderr[-600:])
        if done.returncode == 0:
            texts[device] = (place / f"{device}.jsonl").read_text().splitlines()
    if len(texts) == 2:
        rows = [[json.loads(line)["messages"][-1]["content"] for line in lines] for lines in texts.values()]
        equal = sum(one == other for one, other in zip(*rows, strict=True))
        context.record("generate, CPU beside device", equal_texts=f"{equal}/{len(rows[0])}")


def _qstar(context: Context, place: Path, words: list[str]) -> tuple[float, subprocess.CompletedProcess[str]]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "2", "PYTHONFAULTHANDLER": "1"}
    started = time.perf_counter()
    command = [sys.executable, "-m", "qstar_pl", *words]
    limit = max(10.0, context.limit_s - (time.monotonic() - context.started) - 5)
    with subprocess.Popen(
        command, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            said = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)  # Python then writes what all of its threads are doing
            said = process.communicate()
            said = said[0], f"{said[1]}\nstopped after {limit:.0f} s"
    return time.perf_counter() - started, subprocess.CompletedProcess(command, process.returncode, *said)
