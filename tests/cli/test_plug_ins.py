"""A user's own class that fails: its own error and traceback, without the frames of those who called it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from qstar_pl.cli.plug_ins import described, own_failure, own_traceback

Call = Callable[..., tuple[int, str, str]]
BUILT = """from qstar_pl.samplers import PolicySampler


class Mine(PolicySampler):
    def __post_init__(self):
        raise KeyError("my own mistake")
"""


@pytest.mark.parametrize(
    ("name", "text", "said", "line"),
    [
        ("needs", "\nimport no_such_library\n", "No module named 'no_such_library'", 2),
        ("refuses", "raise RuntimeError('needs a license')\n", "needs a license", 1),
        ("builds", BUILT, "my own mistake", 6),
    ],
)
@pytest.mark.parametrize("command", ["fit --model.sampler=", "generate --output=a.jsonl --sampler="])
def test_the_users_traceback_alone(command: str, name: str, text: str, said: str, line: int, qstar: Call) -> None:
    module = f"{name}_{command.partition(' ')[0]}"  # of its own, since Python imports a module once
    Path(f"{module}.py").write_text(text)
    words = f"{command}{module}.Mine".split()
    code, out, err = qstar(*words)
    assert code == 2, (out, err)
    lines = err[err.index("Traceback") :].splitlines()
    assert f'{module}.py", line {line}' in lines[1]
    assert [one for one in lines if "jsonargparse" in one or "qstar_pl" in one] == []
    assert lines[-1].startswith(f"error: {module}.py:{line} raised ")
    assert said in lines[-1]


def test_a_file_that_is_no_python(qstar: Call) -> None:
    Path("not_python.py").write_text("x = 1\ndef f(:\n")
    code, _, err = qstar("fit", "--model.sampler=not_python.Mine")
    assert code == 2
    assert err.splitlines()[-1] == "error: not_python.py:2 must be valid Python, got invalid syntax"


def test_where_it_arose(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text("def f():\n    return 1 / 0\n")
    space = dict[str, Callable[[], int]]()
    exec(compile(file.read_text(), str(file), "exec"), space)
    with pytest.raises(ZeroDivisionError) as caught:
        space["f"]()
    outer = ValueError("around it")
    assert own_failure([outer, caught.value]) is caught.value
    assert described(caught.value) == f"{file}:2 raised ZeroDivisionError: division by zero"
    assert own_traceback(caught.value).splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert own_failure([outer]) is None
