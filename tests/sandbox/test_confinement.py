"""A confined process ends with the one that forked it, whatever has changed about its rights in between."""

import subprocess
import sys

WALLS = """
import os, time
from qstar_pl.sandbox.confinement import confine
from qstar_pl.sandbox.limits import Layers, Limits
from qstar_pl.sandbox.namespaces import plan, unused_id
walls = plan(Layers(namespaces=False))[-1]
own_id = unused_id() if walls.other_user else None
"""
LEFT = """
confined, said = os.pipe()
supervisor = os.getpid()
if os.fork() == 0:
    confine(walls, Limits(), own_id, supervisor)
    os.write(said, b"c")
    time.sleep(20)
    os._exit(0)
os.read(confined, 1)
print("leaves")
"""
LATE = """
confined, said = os.pipe()
supervisor = os.getpid()
if os.fork() == 0:
    while os.getppid() == supervisor:
        time.sleep(0.01)
    try:
        confine(walls, Limits(), own_id, supervisor)
    except ProcessLookupError as error:
        os.write(1, str(error).encode())
    os._exit(0)
"""


def said_by(code: str) -> str:
    """Run a program; return what it and its children say before the last of them ends, soon."""
    done = subprocess.run([sys.executable, "-c", WALLS + code], capture_output=True, text=True, timeout=15)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_confined_process_ends_with_its_supervisor():
    assert said_by(LEFT) == "leaves\n"  # heard before the child has slept: it no longer holds the output open


def test_one_whose_supervisor_has_ended_already_does_not_start():
    assert said_by(LATE) == "a program must have a supervisor, which has ended"
