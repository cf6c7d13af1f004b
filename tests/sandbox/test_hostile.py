"""Programs that nobody should run: none passes, hangs, stays, or gets out, whichever walls the kernel allows."""

import contextlib
import os
import select
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from reference.hostile_programs import HONEST, PROGRAMS, PROMPT, SHARED_MEMORY_KEY, TEST

from qstar_pl.sandbox import CheckedFunction, ExecutionPool, Layers, Limits, Outcome, Task, Verdict

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="programs run on Linux only")
ONE = Limits(wall_s=1.5, cpu_s=1, memory_mib=256, files_mib=4, output_mib=1)
MANY = Limits(wall_s=1.5, cpu_s=1, memory_mib=256, files_mib=4, output_mib=1, processes=150)
SETTINGS = {
    "all walls": (ONE, Layers()),
    "all walls, with forks": (MANY, Layers()),
    "namespaces only": (MANY, Layers(seccomp=False)),
    "seccomp only": (ONE, Layers(namespaces=False)),
}
# Without any wall the programs would get where they want; what they leave behind must still go.
STAYING = ("processes", "a chain of processes", "a daemon", "a deaf daemon", "subprocess", "threads", "sleeps")


@dataclass
class Trap:
    """What a program must not reach, and how to see that it did."""

    tcp: socket.socket
    others: list[socket.socket]
    folder: Path
    words: dict[str, str]

    def fill(self, text: str) -> str:
        for name, value in self.words.items():
            text = text.replace(f"@{name}@", value)
        return text

    def reached(self) -> list[str]:
        ready, _, _ = select.select([self.tcp, *self.others], [], [], 0)
        return [str(one.getsockname()) for one in ready]

    def shared_memory(self) -> list[str]:
        lines = [line for kind in ("shm", "sem") for line in Path(f"/proc/sysvipc/{kind}").read_text().splitlines()]
        return [line for line in lines if line.split()[0] == str(SHARED_MEMORY_KEY)]

    def files(self) -> list[Path]:
        places = [".", "/tmp", "/var/tmp", "/dev/shm", "/run", "/root", "/home", str(self.folder)]
        found = []
        for place in places:
            with contextlib.suppress(OSError):
                found += list(Path(place).glob(self.words["FILE"] + "*"))
        return found


@pytest.fixture(scope="module")
def trap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trap]:
    mark = uuid.uuid4().hex
    folder = tmp_path_factory.mktemp("readable")
    tests = folder / f"tests-{mark}.txt"
    tests.write_text(f"{TEST}{mark}")
    # As an answer file usually lies there: anyone may read it, and the way to it is open.
    for part in (tests, *tests.parents[:3]):
        with contextlib.suppress(OSError):
            part.chmod(part.stat().st_mode | 0o055)
    tcp = socket.create_server(("127.0.0.1", 0), backlog=64)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(tcp.getsockname())
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(f"\0{mark}")
    unix.listen(64)
    os.environ[f"SECRET_{mark}"] = "1"
    words = {
        "PORT": str(tcp.getsockname()[1]),
        "ABSTRACT": mark,
        "MARK": mark,
        "TESTS": str(tests),
        "PARENT": str(os.getpid()),
        "FILE": f"left-{mark}",
        "SECRET": f"SECRET_{mark}",
    }
    yield Trap(tcp, [udp, unix], folder, words)
    del os.environ[f"SECRET_{mark}"]
    for one in (tcp, udp, unix):
        one.close()


@pytest.fixture(scope="module")
def pools() -> Iterator[dict[str, ExecutionPool]]:
    made: dict[str, ExecutionPool] = {}
    for name, (limits, layers) in SETTINGS.items():
        made[name] = ExecutionPool(1, limits, layers)
    made["no walls"] = ExecutionPool(1, MANY, Layers(False, False, False))
    yield made
    for pool in made.values():
        pool.close()


def pool_with(pools: dict[str, ExecutionPool], setting: str) -> ExecutionPool:
    walls = pools[setting].isolation
    if setting == "namespaces only" and not (walls.processes and walls.network and walls.files):
        pytest.skip("this kernel allows no namespaces")
    if setting != "namespaces only" and not walls.seccomp:
        pytest.skip("seccomp is not available")
    return pools[setting]


def left_over(pool: ExecutionPool) -> list[int]:
    """Processes that the pool's launchers have started, but for the launchers themselves and the dead."""
    launchers = {sandbox.process.pid for sandbox in pool._all}
    parents: dict[int, int] = {}
    named = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError):
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(entry.name)] = int(parent)
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if len(words) > 7 and words[5].endswith(b"launcher.py") and words[7] == str(os.getpid()).encode():
                    named.add(int(entry.name))
    family = set(launchers)
    while fresh := {one for one, parent in parents.items() if parent in family} - family:
        family |= fresh
    return sorted((family | named) - launchers)


def judge(pool: ExecutionPool, trap: Trap, text: str) -> Verdict:
    problem = CheckedFunction("double", (), PROMPT, "double", trap.fill(TEST))
    return pool.judge([Task(problem, trap.fill(text))])[0]


def others(pools: dict[str, ExecutionPool]) -> set[int]:
    return {sandbox.process.pid for pool in pools.values() for sandbox in pool._all}


def wait_until_empty(pool: ExecutionPool, allowed: set[int]) -> list[int]:
    end = time.monotonic() + 1.0
    while (left := [one for one in left_over(pool) if one not in allowed]) and time.monotonic() < end:
        time.sleep(0.01)
    return left


SHARED = ("memory", "process", "daemon", "supervisor", "semaphore")
"""Words in the names of programs to which it matters whether they may fork."""


def cases() -> Iterator[object]:
    """Every program behind all walls; behind others those to which it matters, and the rest in the slow suite."""
    for setting in SETTINGS:
        for name, program in PROGRAMS.items():
            if setting == "all walls":
                yield pytest.param(setting, name)
            elif setting == "all walls, with forks":
                marks = [] if any(word in name for word in SHARED) else [pytest.mark.slow]
                yield pytest.param(setting, name, marks=marks)
            elif not program.hangs and not (program.filtered and setting == "namespaces only"):
                marks = [pytest.mark.slow] if name.startswith(("says", "ended by")) else []
                yield pytest.param(setting, name, marks=marks)


@pytest.mark.parametrize(("setting", "name"), list(cases()), ids=str)
def test_neither_passes_nor_hangs_nor_stays_nor_gets_out(
    setting: str, name: str, pools: dict[str, ExecutionPool], trap: Trap
) -> None:
    pool = pool_with(pools, setting)
    started = time.monotonic()
    verdict = judge(pool, trap, PROGRAMS[name].text)
    seconds = time.monotonic() - started
    assert not verdict.passed, verdict
    assert verdict.outcome is not Outcome.BROKEN_TESTS, verdict
    assert seconds < ONE.wall_s + 4.0
    assert wait_until_empty(pool, others(pools)) == []
    assert trap.files() == []
    assert trap.shared_memory() == []
    assert trap.reached() == []
    assert Path(trap.words["TESTS"]).read_text().endswith(trap.words["MARK"])


@pytest.mark.parametrize("name", STAYING)
def test_nothing_stays_even_without_walls(name: str, pools: dict[str, ExecutionPool], trap: Trap) -> None:
    verdict = judge(pools["no walls"], trap, PROGRAMS[name].text)
    assert not verdict.passed
    assert wait_until_empty(pools["no walls"], others(pools)) == []


@pytest.mark.parametrize("setting", [*SETTINGS, "no walls"])
def test_an_honest_program_passes_the_same_judge(setting: str, pools: dict[str, ExecutionPool], trap: Trap) -> None:
    pool = pools[setting]
    assert judge(pool, trap, HONEST).passed
    chatty = (
        "import collections, dataclasses, math, random, re, sys, threading\n"
        "print('loading', file=sys.stderr)\n"
        "@dataclasses.dataclass\nclass Box:\n    value: int\n"
        "def double(x):\n"
        "    print('called with', x)\n"
        "    box = Box(0)\n"
        "    worker = threading.Thread(target=lambda: setattr(box, 'value', int(math.ldexp(x, 1))))\n"
        "    worker.start()\n    worker.join()\n    return box.value\n"
    )
    assert judge(pool, trap, chatty).passed


def test_a_program_has_a_working_folder_that_is_gone_afterwards(pools: dict[str, ExecutionPool], trap: Trap) -> None:
    pool = pools["all walls"]
    if not pool.isolation.files:
        pytest.skip("this kernel allows no private file system")
    text = (
        "import os, tempfile\nassert os.listdir('.') == []\n"
        "with open('note', 'w') as file: file.write('1')\n"
        "with tempfile.TemporaryFile() as file: file.write(b'x')\n"
        "def double(x):\n    return 2 * x * int(open('note').read())\n"
    )
    assert judge(pool, trap, text).passed
    assert judge(pool, trap, text).passed


@pytest.mark.parametrize("name", [name for name, program in PROGRAMS.items() if program.fools_naive])
def test_a_judge_that_trusts_the_exit_code_is_fooled(name: str, trap: Trap, tmp_path: Path) -> None:
    """Shows that the suite bites: program and tests in one process, exit code 0 passes."""
    program = trap.fill(PROGRAMS[name].text + "\n" + TEST + "\ncheck(double)\n")
    words = [sys.executable, "-I", "-c", program]
    assert subprocess.run(words, cwd=tmp_path, capture_output=True, timeout=20, check=False).returncode == 0


def test_the_naive_judge_is_right_about_plain_programs(tmp_path: Path) -> None:
    codes = []
    for program in (HONEST, "def double(x):\n    return 7\n"):
        words = [sys.executable, "-I", "-c", program + TEST + "\ncheck(double)\n"]
        codes.append(subprocess.run(words, cwd=tmp_path, capture_output=True, timeout=20, check=False).returncode)
    assert codes == [0, 1]
    assert len(PROGRAMS) >= 150
    assert sum(program.fools_naive for program in PROGRAMS.values()) >= 10
