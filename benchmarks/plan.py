"""`qstar plan` beside what a run really takes, on this machine's CPU.

Run as `python benchmarks/plan.py`, or `just bench plan`. Each case trains two steps in a process of its own, which
notes its resident memory before any model is loaded and its peak afterwards (Linux only); the difference is compared
with the plan's peak for one process, planned for the longest prompt and answer that the run met. Exit code 1 if one is
off by more than 15%.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback

CONFIGS = Path(__file__).parents[1] / "configs"
GPT2 = [f"--config={CONFIGS / 'debug' / 'gpt2_124m.yaml'}", "--trainer.fast_dev_run=false", "--data.batch_size=4"]
RANDOM = "--model.policy=" + str(CONFIGS / "policy" / "gpt2_124m_random.yaml")
CASES = {
    "q*, GPT-2 124M, 16 answers": [*GPT2, "--model.samples_per_prompt=4", "--model.sampler.max_new_tokens=64"],
    "PPO, GPT-2 124M, 16 answers": ["--model=PPO", RANDOM, "--data.batch_size=4", "--model.samples_per_prompt=4"],
    "DPO, GPT-2 124M, 8 pairs": ["--model=DPO", RANDOM, "--data.batch_size=8"],
    "SFT, GPT-2 124M, 16 rows": ["--model=SFT", RANDOM, "--data.batch_size=16"],
    "q*, tiny, 512 answers": ["--data.batch_size=64", "--model.samples_per_prompt=8"],
    "DPO, tiny, 256 pairs": ["--model=DPO", "--data.batch_size=256"],
}
TRAINER = ["--trainer.accelerator=cpu", "--trainer.max_steps=2", "--trainer.limit_val_batches=0"]
TRAINER += ["--trainer.num_sanity_val_steps=0", "--trainer.enable_checkpointing=false"]
TRAINER += ["--trainer.enable_progress_bar=false", "--trainer.logger=false"]


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) * 1024


class Resident(Callback):
    """Notes resident memory before models are loaded; at the end, writes how much higher its peak was."""

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        self.before = _status("VmRSS")
        self.prompt = self.answer = 0

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        prompts = getattr(batch, "prompts", batch)
        answers = [getattr(batch, f"{side}_ids", None) for side in ("completion", "chosen", "rejected")]
        if (weighted := getattr(outputs["report"], "weighted", None)) is not None:
            answers.append(weighted.scored.rollout.completion_ids)
        self.prompt = max(self.prompt, prompts.prompt_ids.shape[1])
        self.answer = max(self.answer, *(ids.shape[1] for ids in answers if ids is not None))

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        seen = {"bytes": _status("VmHWM") - self.before, "prompt": self.prompt, "answer": self.answer}
        Path(os.environ["QSTAR_PLAN_SEEN"]).write_text(json.dumps(seen))


def _run(words: list[str], folder: Path) -> None:
    paths = [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    # One arena, and freed memory returned: the peak is then that of what is in use, not of what malloc has kept.
    environment |= {"QSTAR_PLAN_SEEN": str(folder / "seen"), "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "qstar_pl", *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])


def main() -> int:
    off = 0
    print(f"{'case':32}{'planned, MiB':>14}{'measured, MiB':>15}{'ratio':>8}")
    for name, words in CASES.items():
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            _run(["fit", *words, *TRAINER, "--trainer.callbacks=[{class_path: plan.Resident}]"], folder)
            seen = json.loads((folder / "seen").read_text())
            lengths = [f"--prompt_tokens={seen['prompt']}", f"--answer_tokens={seen['answer']}"]
            _run(["plan", "--gpus=1", *lengths, f"--json={folder / 'plan.json'}", *words, *TRAINER], folder)
            planned = json.loads((folder / "plan.json").read_text())
            measured = seen["bytes"]
        ratio = planned["peak_bytes"] / measured
        off += abs(ratio - 1) > 0.15
        print(f"{name:32}{planned['peak_bytes'] / 2**20:>14.0f}{measured / 2**20:>15.0f}{ratio:>8.2f}", flush=True)
    print(f"{off} of {len(CASES)} off by more than 15%")
    return int(off > 0)


if __name__ == "__main__":
    sys.exit(main())
