"""Counts what hostile and awkward programs do: `python benchmarks/hostile.py [--ordinary-user 12345] [--python DIR]`.

Every program of tests/reference/hostile_programs.py runs behind all walls, without and with forks; none may pass, reach
a listener on this machine, outlast its time or take the judge with it. Every program of awkward_programs.py must pass.
`--python DIR` copies this Python (without site-packages) to DIR, such as one below /tmp, and runs there; as root,
`--ordinary-user ID` runs as that user, who needs such a copy where this Python lies in a home.
"""

import argparse
import os
import select
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

from reference import awkward_programs, hostile_programs  # type: ignore[import-not-found]  # noqa: E402

from qstar_pl.sandbox import (  # noqa: E402
    CheckedFunction,
    ExecutionPool,
    Limits,
    Outcome,
    Script,
    Task,
    describe_isolation,
)

CHECKED = hostile_programs.PROMPT, "double", hostile_programs.TEST


@contextmanager
def listener() -> Iterator[tuple[socket.socket, dict[str, str]]]:
    """Yield a socket that nobody should connect to, and the words to put into programs."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as tcp:
        secret = Path(__file__).resolve()
        words = {"PORT": tcp.getsockname()[1], "ABSTRACT": "x", "MARK": "Counts what", "TESTS": secret}
        words |= {"PARENT": os.getpid(), "FILE": f"left-{os.getpid()}", "SECRET": "SECRET"}
        yield tcp, {name: str(word) for name, word in words.items()}


def count_hostile(processes: int) -> Counter[str]:
    """Run all hostile programs and return how often what happened."""
    limits = Limits(wall_s=1.5, cpu_s=1, memory_mib=256, files_mib=4, output_mib=1, processes=processes)
    found: Counter[str] = Counter()
    with listener() as (tcp, words), ExecutionPool(1, limits) as pool:
        for name, program in hostile_programs.PROGRAMS.items():
            text, (prompt, entry, test) = program.text, CHECKED
            for word, value in words.items():
                text, test = text.replace(f"@{word}@", value), test.replace(f"@{word}@", value)
            problem, started = CheckedFunction(name, (), prompt, entry, test), time.monotonic()
            verdict = pool.judge([Task(problem, text)])[0]
            bad = []
            bad += ["passed"] if verdict.passed else []
            bad += ["blamed the tests"] if verdict.outcome is Outcome.BROKEN_TESTS else []
            bad += ["outlasted its time"] if time.monotonic() - started > limits.wall_s + 5 else []
            bad += ["reached the listener"] if select.select([tcp], [], [], 0)[0] else []
            honest = [pool.judge([Task(problem, hostile_programs.HONEST)])[0] for _ in range(2)]
            # One of two, for what else the machine does may cost an honest program its time.
            bad += [] if any(one.passed for one in honest) else [f"ended the judge ({honest[0].detail})"]
            found.update(bad or ["held"])
            if bad:
                print(f"  {name}: {', '.join(bad)}: {verdict}")
    return found


def count_awkward() -> Counter[str]:
    """Run all awkward programs and return how many pass."""
    tasks = []
    for case in awkward_programs.FUNCTIONS:
        body = "".join(f"    {line}\n" for line in case.test.split("\n"))
        problem = CheckedFunction(case.name, (), case.prompt, "f", f"def check(candidate):\n{body}")
        tasks.append(Task(problem, case.program))
    for name, program, given, expected in awkward_programs.SCRIPTS + awkward_programs.POOLS:
        tasks.append(Task(Script(name, (), [(given, expected)]), program))
    with ExecutionPool(1, Limits(processes=8)) as pool:
        verdicts = pool.judge(tasks)
    for task, verdict in zip(tasks, verdicts, strict=True):
        if not verdict.passed:
            print(f"  {task.problem.key}: {verdict}")
    return Counter("passed" if verdict.passed else "failed" for verdict in verdicts)


def copied_python(folder: Path) -> Path:
    """Copy what is needed of this Python and of the project, readable for everyone, and return its interpreter."""
    shutil.rmtree(folder, ignore_errors=True)
    left_out = shutil.ignore_patterns("site-packages", "test", "__pycache__", "config-*", "idlelib")
    base = Path(sys.base_prefix)
    name = f"python{sysconfig.get_python_version()}"
    shutil.copytree(base / "lib" / name, folder / "lib" / name, ignore=left_out)
    for library in (base / "lib").glob("libpython*"):
        shutil.copy2(library, folder / "lib", follow_symlinks=True)
    (folder / "bin").mkdir()
    shutil.copy2(base / "bin" / name, folder / "bin")
    for part in ("src/qstar_pl/sandbox", "tests/reference", "benchmarks"):
        shutil.copytree(ROOT / part, folder / "project" / part, ignore=left_out)
    for file in ("__init__.py", "errors.py"):
        shutil.copy2(ROOT / "src" / "qstar_pl" / file, folder / "project" / "src" / "qstar_pl")
    return folder / "bin" / name


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path)
    parser.add_argument("--ordinary-user", type=int)
    options = parser.parse_args()
    if options.python is not None or options.ordinary_user is not None:
        here = ROOT if options.python is None else options.python / "project"
        python = Path(sys.executable) if options.python is None else copied_python(options.python)
        words = [str(python), "-S", "-P", "-B", str(here / "benchmarks" / "hostile.py")]
        user = options.ordinary_user
        groups: list[int] | None = None if user is None else []
        return subprocess.run(words, user=user, group=user, extra_groups=groups, cwd="/", check=False).returncode
    print(f"user {os.getuid()}, Python in {sys.base_prefix}\n{describe_isolation()}")
    total = len(hostile_programs.PROGRAMS)
    bad = 0
    for processes in (1, 150):
        found = count_hostile(processes)
        bad += total - found["held"]
        print(f"hostile, {processes:3d} processes: {found['held']} of {total} held; {dict(found)}")
    awkward = count_awkward()
    print(f"awkward: {awkward['passed']} of {sum(awkward.values())} pass")
    return 1 if bad or awkward["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
