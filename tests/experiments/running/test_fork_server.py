"""What is forked is what a fresh process would be."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_experiment import runs

from qstar_pl.experiments.running.fork_server import threads
from qstar_pl.experiments.running.planned import PlannedRun
from qstar_pl.experiments.running.starting import Afresh, Forked, Started

LOOK = """\
import os, random, sys, json
import heavy
import numpy
what = {
    "argv": sys.argv, "path": sys.path, "name": __name__, "spec": sys.modules["__main__"].__spec__.name,
    "variable": os.environ["MARK"], "leads": os.getsid(0) == os.getpid() == os.getpgid(0), "stdin": os.fstat(0).st_rdev,
}
print(json.dumps(what), flush=True)
print("imported in", heavy.PID == os.getpid(), random.random(), numpy.random.random(), file=sys.stderr)
"""
ENDS = {
    "exits": ("import sys\nsys.exit(3)", 3),
    "says": ("import sys\nsys.exit('no')", 1),
    "raises": ("raise ValueError('no')", 1),
    "leaves": ("import atexit\natexit.register(print, 'last words')", 0),
    "dies": ("import os\nos.abort()", -signal.SIGABRT),
    "waits": (
        "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.2), print('last words'))).start()",
        0,
    ),
}


def module(name: str, text: str) -> None:
    Path(name).mkdir(exist_ok=True)
    Path(name, "__init__.py").touch()
    Path(name, "__main__.py").write_text(text)


@pytest.fixture
def here(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    Path("heavy.py").write_text("import os, numpy\nPID = os.getpid()\n")
    # Would be imported in the place of the library's, if the working folder stood in front.
    folders = [str(isolated), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders))
    return isolated


def ended(process: Started) -> int:
    until = time.monotonic() + 30
    while (code := process.poll()) is None and time.monotonic() < until:
        time.sleep(0.01)
    assert code is not None
    return code


@pytest.fixture
def forked() -> Iterator[Callable[..., Forked]]:
    made = list[Forked]()

    def make(name: str, *imports: str) -> Forked:
        made.append(Forked(lambda: True, name, imports))
        return made[-1]

    yield make
    for one in made:
        one.close()


def start(starter: Forked | Afresh, run: PlannedRun) -> Started:
    lock = run.folder.lock()
    assert lock is not None
    with run.folder.log.open("ab") as log, lock:
        return starter.start(run, log, lock, {**os.environ, "MARK": "5"})


def afresh(name: str) -> Afresh:
    return Afresh(lambda run: [sys.executable, "-m", name, *run.words])


def test_a_child_is_what_a_fresh_process_is(here: Path, forked: Callable[..., Forked]) -> None:
    module("look", LOOK)
    first, second, third, *_ = runs(Path("out"))
    starter = forked("look", "heavy")
    assert [ended(start(one, run)) for one, run in ((starter, first), (starter, second), (afresh("look"), third))] == [
        0
    ] * 3
    said = [run.folder.log.read_text().splitlines() for run in (first, second, third)]
    for (line, _), run in zip(said, (first, second, third), strict=True):
        (found := json.loads(line))["argv"][1:] = []
        assert json.loads(line)["argv"][1:] == run.words
        assert found == json.loads(said[2][0]) | {"argv": [str(here / "look" / "__main__.py")]}
        assert found["leads"]
    assert [line.split()[2] for _, line in said] == ["False", "False", "True"]
    chances = [number for _, line in said for number in line.split()[3:]]
    assert len(set(chances)) == 6


@pytest.mark.parametrize("name", ENDS)
def test_it_ends_as_a_fresh_process_does(here: Path, forked: Callable[..., Forked], name: str) -> None:
    text, code = ENDS[name]
    module("ends", text)
    one, other, *_ = runs(Path("out"))
    assert ended(start(forked("ends"), one)) == ended(start(afresh("ends"), other)) == code
    last = [(run.folder.log.read_text().splitlines() or [""])[-1] for run in (one, other)]
    assert last[0] == last[1]


def test_signals_reach_the_group_as_soon_as_it_is_started(here: Path, forked: Callable[..., Forked]) -> None:
    module("sleeps", "import subprocess\nsubprocess.run(['sleep', '60'])")
    starter = forked("sleeps")
    for run, number in zip(runs(Path("out")), (signal.SIGINT, signal.SIGTERM, signal.SIGKILL), strict=False):
        process = start(starter, run)
        os.killpg(process.pid, number)
        assert ended(process) == -number
        assert not run.folder.is_alive()


def test_beside_a_thread_nothing_is_forked(here: Path, forked: Callable[..., Forked]) -> None:
    module("look", LOOK)
    Path("threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    starter, run = forked("look", "heavy", "threaded"), runs(Path("out"))[0]
    assert ended(start(starter, run)) == 0
    assert "imported in True" in run.folder.log.read_text()


def test_what_the_runs_import_starts_no_thread(here: Path) -> None:
    code = "import qstar_pl.cli.trainer\nfrom qstar_pl.experiments.running.fork_server import threads\nprint(threads())"
    one = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=one)
    assert done.stdout == "[]\n"


def test_threads_of_libraries_count() -> None:
    import threading

    gate = threading.Event()
    thread = threading.Thread(target=gate.wait)
    before = len(threads())
    thread.start()
    assert len(threads()) == before + 1
    gate.set()
    thread.join()


def test_where_a_server_does_not_start_each_process_is_a_fresh_one(here: Path, forked: Callable[..., Forked]) -> None:
    module("look", LOOK)
    starter, run = forked("look", "no_such_module"), runs(Path("out"))[0]
    assert ended(start(starter, run)) == 0


def test_a_child_outlives_its_server_and_holds_its_lock(here: Path, forked: Callable[..., Forked]) -> None:
    module("naps", "import time\ntime.sleep(0.5)")
    starter, (first, second, *_) = forked("naps"), runs(Path("out"))
    process = start(starter, first)
    assert starter._server is not None
    starter._server.process.kill()
    starter._server.process.wait()
    with pytest.raises(ProcessLookupError, match=f"the parent of process {process.pid} was killed"):
        process.poll()
    assert first.folder.is_alive()
    assert ended(start(starter, second)) == 0  # afresh
    assert not first.folder.is_alive()
