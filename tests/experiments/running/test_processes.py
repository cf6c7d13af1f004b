"""Runs side by side: killed and started again, failing, changed, waited for."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_experiment import TEMPLATE, experiment, go, in_stages, runs, write

from qstar_pl.experiments.report.reading import read_results
from qstar_pl.experiments.running import processes
from qstar_pl.experiments.running.processes import Ended
from qstar_pl.experiments.running.run_folder import Asked, RunFolder

SCRIPT = Path(__file__).parents[2] / "small_experiment.py"
DETERMINISTIC = ("results.json", "curves.parquet")


def files(output: Path) -> list[bytes]:
    return [(output / name).read_bytes() for name in DETERMINISTIC]


def test_killed_at_several_points_it_ends_in_the_same_bytes(isolated: Path) -> None:
    output = Path("out")
    write_all(output)
    whole = files(output)
    output.rename("undisturbed")
    moments = {
        "asked.json": (signal.SIGKILL, 1),  # it has begun
        "version_0/checkpoints/last.ckpt": (signal.SIGTERM, 1),
        "exit": (signal.SIGKILL, 1),  # the first has ended
        "version_0/metrics.csv": (signal.SIGINT, 3),
    }
    for name, (number, count) in moments.items():
        process = subprocess.Popen([sys.executable, SCRIPT, output], stdout=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while len(list(output.glob(f"cells/*/*/{name}"))) < count and time.monotonic() < until:
            time.sleep(0.01)
        assert process.poll() is None, "too late"
        process.send_signal(number)
        process.wait(60)
    write_all(output)
    assert files(output) == whole
    assert sorted(path.name for path in output.glob("cells/*/*/version_*")) == ["version_0"] * 4


def write_all(output: Path) -> None:
    go(runs(output))
    write(runs(output))


def test_what_has_finished_is_not_run_again(isolated: Path) -> None:
    first = go(runs(Path("out")))
    assert sum("finished: " in line for line in first) == 4
    assert go(runs(Path("out"))) == []
    (metrics := Path("out/cells/one/seed_0/version_0/metrics.csv")).touch()
    before = metrics.stat().st_mtime
    said = go(runs(Path("out"), code="1.0+def"))
    assert said == ["4 finished runs are of code 1.0+abc, now 1.0+def; --again runs them anew"]
    assert metrics.stat().st_mtime == before


def test_a_changed_cell_is_run_anew_says_why_and_keeps_the_old_one(isolated: Path) -> None:
    go(runs(Path("out")))
    said = go(runs(Path("out"), steps=7))
    assert said[0] == (
        "one, seed 0 is run anew: trainer.max_steps 6 → 7; the old one is kept in out/earlier/one/seed_0"
    )
    assert Path("out/earlier/one/seed_0/version_0/metrics.csv").is_file()
    go(runs(Path("out"), steps=8))
    assert Path("out/earlier/one/seed_0.1/version_0/metrics.csv").is_file()
    assert go(runs(Path("out"), steps=8)) == []


def test_one_that_fails_leaves_the_others_alone_and_is_tried_again(isolated: Path) -> None:
    failing = experiment(one="--model.fail=true")
    planned = runs(Path("out"), failing)
    said = go(planned)
    assert "  failed: one, seed 0: lr must be positive, got -1 (out/cells/one/seed_0/log.txt)" in said
    found = write(planned, failing)
    assert [one.status for one in found] == ["failed", "finished", "failed", "finished"]
    assert found[0].reason == "lr must be positive, got -1"
    assert sum("failed: " in line for line in go(planned)) == 2


def test_what_an_earlier_start_has_left_running_is_waited_for(isolated: Path) -> None:
    first, *_ = planned = runs(Path("out"))
    lock = first.folder.lock()
    assert lock is not None
    orphan = subprocess.Popen(["sleep", "0.7"], pass_fds=(lock.fileno(),))
    lock.close()
    first.folder.begin(first.asks())
    said = go(planned)
    orphan.wait()
    assert "run 1 of 4 (one, seed 0): still at work since an earlier start; waiting for it" in said
    assert sum("finished: " in line for line in said) == 4


def test_what_was_left_running_with_other_settings_is_put_aside_once_it_has_ended(isolated: Path) -> None:
    """Its checkpoint would be taken for one of the changed cell."""
    go(runs(Path("out")))
    first, *_ = runs(Path("out"))
    lock = first.folder.lock()
    assert lock is not None
    orphan = subprocess.Popen(["sleep", "0.7"], pass_fds=(lock.fileno(),))
    lock.close()
    first.folder.begin(first.asks())
    said = go(runs(Path("out"), steps=7))
    orphan.wait()
    changed = "one, seed 0 is run anew: trainer.max_steps 6 → 7; the old one is kept in out/earlier/one/seed_0"
    assert said.index(changed) > said.index(
        "run 1 of 4 (one, seed 0): still at work since an earlier start; waiting for it"
    )
    assert Path("out/earlier/one/seed_0/version_0/metrics.csv").is_file()
    assert go(runs(Path("out"), steps=7)) == []


def test_each_process_gets_its_share_of_the_cores_and_signals_end_it(isolated: Path) -> None:
    go(runs(Path("out")), template='echo "$OMP_NUM_THREADS" >threads; ' + TEMPLATE)
    assert Path("threads").read_text() == "1\n"

    def tell(line: str) -> None:
        if line.startswith("run 2"):
            os.kill(os.getpid(), signal.SIGTERM)

    started = processes.Processes(lambda run: ["sleep", "60"], 2, 1, tell)
    with pytest.raises(Ended) as ended:
        started.start(runs(Path("other")))
    assert ended.value.code == 128 + signal.SIGTERM
    assert [run.state for run in runs(Path("other"))] == ["stopped", "stopped", "new", "new"]


def test_the_command_repeats_the_run(isolated: Path) -> None:
    run = runs(Path("out"))[3]
    assert run.command == (
        "qstar fit --config=two --seed_everything=1 --name=seed_1 --trainer.default_root_dir=out/cells/two "
        "--ckpt_path=auto"
    )
    go(runs(Path("out")))
    assert json.loads(Path("out/cells/two/seed_1/asked.json").read_text())["command"] == run.command


def test_a_later_stage_waits_for_the_one_before_and_starts_from_its_checkpoint(isolated: Path) -> None:
    planned = runs(Path("out"), in_stages())
    said = [line for line in go(planned, jobs=4) if "seed 0" in line]
    assert [("one" in line, "finished" in line) for line in said] == [
        (True, False),
        (True, True),
        (False, False),
        (False, True),
    ]
    start = "--model.policy.path=out/cells/one/seed_0/version_0/checkpoints/last.ckpt"
    assert start in planned[1].words
    assert start not in planned[0].words
    one, two = (found for found in write(planned, in_stages()) if found.run.seed == 0)
    assert (one.spent["samples"], two.spent["samples"], two.started_at["samples"]) == (48, 96, 48)
    assert (one.off_budget, two.off_budget) == ("", "")
    found = json.loads(Path("out/results.json").read_text())
    assert [run["cell"] for run in found["runs"]] == ["two", "two"]
    assert [run["cell"] for run in found["stages"]] == ["one", "one"]
    points = read_results(Path("out")).series("two", 0, "val/reward_gold")
    assert points.x.tolist() == [48, 96]


def test_what_starts_from_a_failed_stage_fails_with_its_reason_and_is_tried_again(isolated: Path) -> None:
    failing = in_stages(one="--model.fail=true")
    planned = runs(Path("out"), failing)
    assert sum("failed: " in line for line in go(planned)) == 4
    found = write(planned, failing)
    assert [one.status for one in found] == ["failed"] * 4
    assert found[1].reason == "one, seed 0, from which it starts, has failed: lr must be positive, got -1"
    assert sum("finished: " in line for line in go(runs(Path("out"), in_stages()))) == 4


def test_where_a_folder_cannot_be_written_what_is_at_work_ends_first(
    isolated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: without an end, the runs would go on with nobody to wait for them."""
    planned = runs(Path("out"))
    begin = RunFolder.begin

    def full(self: RunFolder, asked: Asked) -> None:
        if self.cell == "two":
            while not list(Path("out").glob("cells/one/*/version_0/checkpoints/last.ckpt")):
                time.sleep(0.01)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        begin(self, asked)

    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "begin", full)
        with pytest.raises(OSError, match="No space left"):
            go(planned)
    assert not any(run.folder.is_alive() for run in planned)
    assert planned[0].state == "stopped"
    go(runs(Path("out")))
    assert [run.state for run in planned] == ["finished"] * 4
