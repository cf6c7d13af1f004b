"""Stands in for `qstar fit`: the same folders, checkpoints and exit codes, in a fraction of a second."""

import json
import sys
import time
from pathlib import Path

STEPS, SAMPLES, STEP_S = 6, 8, 0.04
COLUMNS = "step,samples/total,generated/total,tokens/total,time/wall_s,loss/total,val/reward_gold"


def row(step: int, seed: int, config: str, measured: bool, rate: float) -> str:
    score = f"{(step + seed) * len(config) * rate / 100:.4f}" if measured else ""
    loss = "" if measured else f"{1 / (step + seed + 1):.4f}"
    return f"{step},{SAMPLES * step},{30 * step},{60 * step},{time.time()},{loss},{score}"


def kept(steps: int) -> dict[str, list[dict[str, object]]]:
    """What a run of the method keeps beside its metrics."""
    answers = [
        {"step": step, "prompt": prompt, "prompt_text": f"prompt {prompt}", "completion": f"answer {step}"}
        | {"tokens": step + 3, "reward_gold": prompt / 4, "reward_proxy": None}
        for step in {0, steps}
        for prompt in range(2)
    ]
    edges = {"edges": {"alpha": [0.0, 0.5, 1.0], "log_weights": [-1.0, 1.0]}}
    windows = [{"step": step, "alpha": [step, 1], "log_weights": [0, 8, step]} for step in range(1, steps + 1)]
    return {"answers.jsonl": answers, "distributions.jsonl": [edges, *windows]}


def main(words: list[str]) -> int:
    options = dict(word.lstrip("-").split("=", 1) for word in words if "=" in word)
    rate = float(options.get("model.optimizer.lr", 1))
    if "model.fail" in options or rate > 5:
        print("step 1\nerror: lr must be positive, got -1", flush=True)
        return 2
    folder = Path(options["trainer.default_root_dir"], options["name"], "version_0")
    saved = folder / "checkpoints" / "last.ckpt"
    # A checkpoint that an interrupted start has left; without one it begins anew, in a folder of its own.
    rows = json.loads(saved.read_text()) if saved.exists() else []
    if not saved.exists() and folder.exists():
        folder = folder.with_name("version_1")
        saved = folder / "checkpoints" / "last.ckpt"
    saved.parent.mkdir(parents=True, exist_ok=True)
    seed, config = int(options["seed_everything"]), options["config"]
    first = int(rows[-1].split(",")[0]) + 1 if rows else 0
    for step in range(first, STEPS + 1):
        time.sleep(STEP_S)
        rows += [row(step, seed, config, False, rate)] if step else []
        rows += [row(step, seed, config, True, rate)] if step in (0, STEPS) else []
        for name, lines in kept(step).items():
            (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
        (folder / "metrics.csv").write_text("\n".join([COLUMNS, *rows]) + "\n")
        if step >= 2:
            beside = saved.with_name(".new")
            beside.write_text(json.dumps(rows))
            beside.replace(saved)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
