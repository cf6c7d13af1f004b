"""CPU time until a command answers, beside the bare imports of the libraries that it stands on.

    python benchmarks/startup.py [--repeats 3] [--only help fit] [--baseline CHECKOUT]

Each figure is the user and system time of a fresh process, which other programs hardly lengthen, and the least of the
repeats:

- imports: torch; torch, Lightning and transformers with the classes that load models and tokenizers; matplotlib;
- light: commands that need no model, each on a small file;
- help: every command's --help, with an empty cache of help ("first") and with the page in it ("again");
- fit: `qstar fit` as it is, up to the moment before its first step.

Behind each figure of fit and of help's first time stands the ratio to the imports of torch, Lightning and transformers.
With `--baseline`, another checkout is measured too, in turn with this one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
BARE = {
    "torch": "import torch",
    "torch, Lightning, transformers": (
        "import torch, lightning.pytorch; from transformers import AutoModelForCausalLM, AutoTokenizer"
    ),
    "matplotlib": "from matplotlib import pyplot",
}
LEAVE = """
import os
from lightning.pytorch import Callback

class Leave(Callback):
    def on_train_batch_start(self, *args):
        os._exit(0)
"""
QSTAR = ["-m", "qstar_pl"]
FIT = [*QSTAR, "fit", "--trainer.callbacks+=leave_at_first_step.Leave"]


def cpu_s(words: Sequence[str], folder: Path, checkout: Path) -> float:
    """Return the seconds of CPU that a fresh interpreter takes; what it prints is dropped."""
    environment = {
        **os.environ,
        "PYTHONPATH": f"{checkout / 'src'}{os.pathsep}{folder}",
        "XDG_CACHE_HOME": str(folder / "cache" / checkout.name),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    process = subprocess.Popen(
        [sys.executable, *words], cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(words)}: {said.decode(errors='replace')}")
    return used.ru_utime + used.ru_stime


def prepare(folder: Path) -> None:
    """Write what the light commands read."""
    rows = [{"question": f"What is {n} + 1?", "answer": f"It is {n + 1}\n#### {n + 1}"} for n in range(20)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "metrics.csv").write_text("step,reward/gold\n" + "".join(f"{n},{n / 9}\n" for n in range(9)))
    numbers = {"tokens": 4, "alpha_mean": 0.5, "ess_ratio_mean": 1.1, "kl_theta_mean": 0.3, "kl_t_mean": 0.31}
    (folder / "out.diagnostics.jsonl").write_text("".join(json.dumps(numbers) + "\n" for _ in range(20)))
    problem = {
        "task_id": "a/0",
        "prompt": "def one():\n",
        "canonical_solution": "    return 1\n",
        "test": "def check(candidate):\n    assert candidate() == 1\n",
        "entry_point": "one",
    }
    (folder / "problems.jsonl").write_text(json.dumps(problem) + "\n")
    (folder / "leave_at_first_step.py").write_text(LEAVE)


LIGHT = {
    "configs": ["configs"],
    "data": ["data", "--path", "rows.jsonl"],
    "curves": ["curves", "metrics.csv", "--key", "reward/gold", "--output", "curves.png"],
    "analyze": ["analyze", "out.diagnostics.jsonl", "--output", "analysis"],
    "pass-at-k": ["pass-at-k", "--check-reference", "--problems", "problems.jsonl"],
}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=["light", "help", "fit"], choices=["light", "help", "fit"])
    parser.add_argument("--baseline", type=Path, help="another checkout, measured beside this one")
    given = parser.parse_args()
    checkouts = [HERE, *([given.baseline.resolve()] if given.baseline else [])]
    known = [{file.stem for file in (one / "src/qstar_pl/commands").glob("[a-z]*.py")} for one in checkouts]
    commands = sorted(stem.replace("_", "-") for stem in set.intersection(*known))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)

        def least(words: Sequence[str], checkout: Path, before: Callable[[Path], None] = lambda _: None) -> float:
            figures = []
            for _ in range(given.repeats):
                before(checkout)
                figures.append(cpu_s(words, folder, checkout))
            return min(figures)

        def forget(checkout: Path) -> None:
            for page in (folder / "cache" / checkout.name).rglob("*.txt"):
                page.unlink()

        def row(
            what: str, words: Sequence[str], before: Callable[[Path], None] = lambda _: None, of: float = 0
        ) -> None:
            figures = [least(words, checkout, before) for checkout in checkouts]
            ratio = f"{figures[0] / of:>16.2f}" if of else " " * 16
            then = f"{figures[1]:>10.2f}{figures[0] / figures[1]:>8.2f}" if len(figures) > 1 else ""
            print(f"{what:34}{figures[0]:>7.2f}{ratio}{then}", flush=True)

        columns = f"{'baseline':>10}{'ratio':>8}" if given.baseline else ""
        print(f"{'CPU s':>41}{'× the imports':>16}{columns}")
        imports = {}
        for what, code in BARE.items():
            imports[what] = least(["-c", code], HERE)
            print(f"{'import ' + what:38}{imports[what]:>7.2f}"[:45])
        needed = imports["torch, Lightning, transformers"]
        if "light" in given.only:
            for what, words in LIGHT.items():
                row(what, [*QSTAR, *words])
        if "help" in given.only:
            for command in commands:
                row(f"{command} --help, first", [*QSTAR, command, "--help"], forget, needed)
                row(f"{command} --help, again", [*QSTAR, command, "--help"])
        if "fit" in given.only:
            row("fit, up to its first step", FIT, of=needed)


if __name__ == "__main__":
    main()
