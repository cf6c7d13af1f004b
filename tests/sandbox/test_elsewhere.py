"""Programs run for an ordinary user, and with a Python that lies where programs have a folder of their own."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
from hostile import copied_python

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="programs run on Linux only")
CODE = """
import json
from qstar_pl.sandbox import *
reading = ("import os, email.mime.text, wave\\nopen('/tmp/a', 'w').write(input())\\nassert os.listdir('.') in ([], ['a'])\\n"
    "try: open(wave.__file__, 'a'); print('changed the library')\\nexcept OSError: print(open('/tmp/a').read())")
aims = ("import os, resource, signal\\nfor n in range(1, 65):\\n    try: n in (9, 19) or os.kill(1, n)\\n    except OSError: pass\\n"
    "try: resource.prlimit(1, resource.RLIMIT_CPU, (0, 0))\\nexcept OSError: pass\\nprint(input())")
with ExecutionPool(1, Limits(wall_s=5.0), Layers(seccomp=SECCOMP)) as pool:
    first = set(pool._all)
    verdicts = pool.judge([Task(Script("s", (), [("5", "5")]), text) for text in (reading, aims, reading)])
    print(json.dumps([pool.isolation.as_dict(), [v.passed for v in verdicts], [v.detail for v in verdicts], first == pool._all]))
"""  # noqa: E501


@pytest.fixture(scope="module")
def python() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield copied_python(folder / "python")
    shutil.rmtree(folder)


@pytest.mark.parametrize("user", [None, 12345])
@pytest.mark.parametrize("seccomp", [True, False])
def test_below_tmp(python: Path, user: int | None, seccomp: bool) -> None:
    if user is not None and os.geteuid() != 0:
        pytest.skip("only root can become someone else")
    done = subprocess.run(
        [python, "-S", "-c", CODE.replace("SECCOMP", str(seccomp))],
        env={"PYTHONPATH": str(python.parents[1] / "project" / "src")},
        user=user,
        group=user,
        extra_groups=None if user is None else [],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    walls, passed, details, same = json.loads(done.stdout)
    if not walls["processes"]:
        pytest.skip("this kernel allows no namespaces")
    assert walls["files"], walls["reason"]
    assert walls["reason"] == ""
    assert same, "the launcher has been lost"
    assert passed[::2] == [True, True], details
    if seccomp:
        assert passed[1], details
