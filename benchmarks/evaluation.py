"""How much of an evaluation's time is neither generation nor judging: `just bench evaluation`.

`qstar evaluate` of two tiny models on 2,000 prompts, with its default metrics and a win rate: seconds of each stage,
and the share that is left when answers, baseline and judging are taken off, without and with the start of the program.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

APART = ("answers", "baseline", "judging")


def measure(prompts: int, others: list[str]) -> dict[str, float]:
    """Return the seconds of each stage, and of the whole command under `all`."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "evaluation"
        words = ["--answers", "tiny/policy", "--baseline", "tiny/expert", "--dataset", "tiny", "--judge", "GoldJudge"]
        words += ["--num_samples", str(prompts), "--quiet", "--output", str(output), *others]
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "qstar_pl", "evaluate", *words], capture_output=True, text=True, check=False
        )
        whole = time.perf_counter() - begun
        if done.returncode != 0:
            raise SystemExit(done.stderr)
        print(done.stdout)
        stages = json.loads((output / "times.json").read_text())["seconds"]
    return {"start-up": whole - sum(stages.values()), **stages, "all": whole}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, epilog="Other words go to qstar evaluate.")
    parser.add_argument("--prompts", type=int, default=2000, help="how many are answered (default 2000)")
    given, others = parser.parse_known_args()
    seconds = measure(given.prompts, others)
    for name, value in seconds.items():
        print(f"{name:<12}{value:8.1f} s {100 * value / seconds['all']:6.1f}%")
    apart = sum(seconds[name] for name in APART)
    for text, whole in (
        ("", seconds["all"] - seconds["start-up"]),
        (", with the start of the program", seconds["all"]),
    ):
        print(f"neither answers nor judging{text}: {whole - apart:.1f} s, {100 * (whole - apart) / whole:.1f}%")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
