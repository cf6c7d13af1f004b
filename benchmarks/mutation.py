"""Mutation testing by sample: which share of small faults, put into the code one at a time, do the tests not notice?

    python benchmarks/mutation.py --per_area 60 --workers 2 --output mutants.jsonl

Mutants are made by mutmut's operators (`pip install mutmut`), whose own runner needs every function undecorated and
every test in one process; here each mutant is a file written into a private copy of the project, so that spawned
processes and the command line see it too. Text (messages, docstrings, keys) is not mutated. A mutant is killed when the
tests of its area fail, and survives when they pass; survivors are printed as differences to be read, since some of them
change nothing (an equivalent mutant). Tests that fail on this machine without any mutant are left out, and counted; as
a control the unchanged code of every area is tried in the same way as a mutant and must survive.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AREAS = {
    "qstar": ("src/qstar_pl/qstar", ["tests/qstar", "tests/theory", "tests/invariant"]),
    "methods": ("src/qstar_pl/methods", ["tests/methods", "tests/invariant", "tests/callbacks"]),
    "training": ("src/qstar_pl/training", ["tests/training", "tests/methods", "tests/checkpoints"]),
    "callbacks": ("callbacks", ["tests/callbacks"]),
    "rollout": ("src/qstar_pl/rollout", ["tests/rollout", "tests/samplers", "tests/targets", "tests/invariant"]),
}
COPIED = ("src", "callbacks", "tests", "configs", "benchmarks", "pyproject.toml", "README.md", "docs")
CONTROL = -1
# Imported once, before any process is forked for a mutant; nothing of this project may be among them.
PRELOADED = ("torch", "lightning.pytorch", "transformers", "jsonargparse", "datasets", "pytest", "matplotlib")


@dataclass(frozen=True)
class Mutant:
    """One changed file."""

    area: str
    path: str
    number: int
    source: str
    difference: str


@dataclass(frozen=True)
class Outcome:
    """What the tests made of a mutant."""

    area: str
    path: str
    number: int
    verdict: str
    seconds: float
    difference: str


def places(area: str) -> list[tuple[str, int]]:
    """Return (file, number) of every mutant of an area, text left alone."""
    import libcst
    from mutmut.mutation.file_mutation import create_mutations

    found: list[tuple[str, int]] = []
    for path in sorted((ROOT / AREAS[area][0]).rglob("*.py")):
        _, mutations, *_ = create_mutations(str(path), path.read_text(encoding="utf-8"))
        found += [
            (str(path.relative_to(ROOT)), number)
            for number, mutation in enumerate(mutations)
            if not isinstance(mutation.original_node, libcst.BaseString)
        ]
    return found


def make(area: str, name: str, number: int) -> Mutant:
    """Return one mutant, or the file as it stands for the number CONTROL."""
    from mutmut.mutation.file_mutation import create_mutations, deep_replace

    code = (ROOT / name).read_text(encoding="utf-8")
    if number == CONTROL:
        return Mutant(area, name, number, code, "")
    module, mutations, *_ = create_mutations(name, code)
    source = deep_replace(module, mutations[number].original_node, mutations[number].mutated_node).code
    lines = difflib.unified_diff(code.splitlines(), source.splitlines(), lineterm="", n=1)
    return Mutant(area, name, number, source, "\n".join(list(lines)[2:]))


def tests_for(mutant: Mutant) -> list[str]:
    """Return the tests of the mutant's area, those that mirror its file first."""
    _, folders = AREAS[mutant.area]
    stem = Path(mutant.path).stem
    mirrored = sorted(str(p.relative_to(ROOT)) for p in (ROOT / folders[0]).rglob(f"test_{stem}*.py"))
    return [*mirrored, *folders]


def run_tests(copy: Path, arguments: list[str], limit_s: float) -> str:
    """Run pytest in a forked process of its own group; return killed, survived or timeout."""
    child = os.fork()
    if child == 0:
        os.setsid()
        os.chdir(copy)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        os.environ["PYTHONPATH"] = str(copy / "src")
        sys.path.insert(0, str(copy / "src"))
        import pytest

        os._exit(int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--no-header", *arguments])))
    end = time.monotonic() + limit_s
    verdict = "timeout"
    while time.monotonic() < end and verdict == "timeout":
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            verdict = "survived" if os.waitstatus_to_exitcode(status) == 0 else "killed"
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # also what a mutant's tests have left running
    if verdict == "timeout":
        os.waitpid(child, 0)
    return verdict


def try_mutant(copy: Path, mutant: Mutant, left_out: list[str], limit_s: float) -> Outcome:
    """Write the mutant into the copy, run its tests, put the original back."""
    path = copy / mutant.path
    original = path.read_text(encoding="utf-8")
    path.write_text(mutant.source, encoding="utf-8")
    started = time.monotonic()
    try:
        verdict = run_tests(copy, [*(f"--deselect={name}" for name in left_out), *tests_for(mutant)], limit_s)
    finally:
        path.write_text(original, encoding="utf-8")
    seconds = round(time.monotonic() - started, 1)
    return Outcome(mutant.area, mutant.path, mutant.number, verdict, seconds, mutant.difference)


def sample(per_area: int, seed: int, areas: list[str]) -> list[tuple[str, str, int]]:
    """Return (area, file, number) of `per_area` mutants of every area, drawn without replacement."""
    generator = random.Random(seed)
    chosen: list[tuple[str, str, int]] = []
    for area in areas:
        everything = places(area)
        picked = generator.sample(everything, min(per_area, len(everything)))
        chosen += [(area, *place) for place in picked]
        print(f"{area}: {len(everything)} mutants, {len(picked)} drawn", flush=True)
    generator.shuffle(chosen)
    controls = [(area, next(str(p.relative_to(ROOT)) for p in (ROOT / AREAS[area][0]).rglob("*.py"))) for area in areas]
    return [*((area, name, CONTROL) for area, name in controls), *chosen]


def copied(folder: Path) -> Path:
    """Make a private copy of the project."""
    folder.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy2(ROOT / name, folder / name)
    return folder


def failing(copy: Path, areas: list[str], workers: int) -> list[str]:
    """Return the tests that fail here as the code stands."""
    folders = sorted({folder for area in areas for folder in AREAS[area][1]})
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rfE", "-n", str(workers), *folders]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(copy / "src"), os.environ.get("PYTHONPATH", "")])}
    said = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False).stdout
    print(said.splitlines()[-1] if said else "no test ran", flush=True)
    lines = [line for line in said.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return sorted({line.split(" ", 2)[1] for line in lines})


def work(folder: Path, chosen: list[tuple[str, str, int]], left_out: list[str], options: argparse.Namespace) -> None:
    """Try mutants one after the other until the time is up, a line each."""
    copy = copied(folder)
    for place in chosen:
        if time.monotonic() > options.end:
            return
        outcome = try_mutant(copy, make(*place), left_out, options.limit_s)
        with options.output.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(asdict(outcome)) + "\n")


def report(outcomes: list[Outcome]) -> None:
    """Print the survivors, then the shares."""
    for outcome in outcomes:
        if outcome.verdict == "survived" and outcome.number != CONTROL:
            print(f"\n{outcome.path} #{outcome.number}\n{outcome.difference}")
    for control in (outcome for outcome in outcomes if outcome.number == CONTROL):
        print(f"{control.area}: the unchanged code {control.verdict}")
    counts = Counter((outcome.area, outcome.verdict) for outcome in outcomes if outcome.number != CONTROL)
    for area in sorted({outcome.area for outcome in outcomes}):
        tried = sum(counts[area, verdict] for verdict in ("killed", "survived", "timeout"))
        print(f"{area}: {counts[area, 'survived']} of {tried} survive")


def main() -> None:
    parser = argparse.ArgumentParser(description="Share of sampled mutants that the tests do not notice.")
    parser.add_argument("--per_area", type=int, default=60, help="mutants of each area")
    parser.add_argument("--areas", nargs="+", default=list(AREAS), choices=list(AREAS))
    parser.add_argument("--seed", type=int, default=0, help="which mutants are drawn")
    parser.add_argument("--workers", type=int, default=1, help="processes side by side, each with a copy")
    parser.add_argument("--limit_s", type=float, default=400.0, help="seconds after which a mutant counts as noticed")
    parser.add_argument("--minutes", type=float, default=600.0, help="no mutant is begun after this time")
    parser.add_argument("--output", type=Path, default=Path("mutants.jsonl"), help="a line a mutant, as they end")
    options = parser.parse_args()
    options.end = time.monotonic() + 60 * options.minutes
    options.output = options.output.absolute()

    os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    sys.dont_write_bytecode = True
    chosen = sample(options.per_area, options.seed, options.areas)
    with tempfile.TemporaryDirectory() as folder:
        left_out = failing(copied(Path(folder) / "whole"), options.areas, options.workers)
        print(f"{len(left_out)} tests left out: {left_out}", flush=True)
        for name in PRELOADED:
            importlib.import_module(name)
        children = []
        for worker in range(options.workers):
            child = os.fork()
            if child == 0:
                work(Path(folder) / f"worker{worker}", chosen[worker :: options.workers], left_out, options)
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)
    report([Outcome(**json.loads(line)) for line in options.output.read_text(encoding="utf-8").splitlines()])


if __name__ == "__main__":
    main()
