"""Exceptions whose constructors are their own still reach the test that expects them."""

import pytest

from qstar_pl.sandbox import CheckedFunction, Outcome, Task
from qstar_pl.sandbox.raised import Described, ProgramError, rebuilt

LOCKED = """class Locked(OSError):
    def __init__(self, name):
        super().__init__(13, "is locked", name)
        self.owner = "root"

"""
FULL = """class Full(MemoryError):
    def __init__(self):
        super().__init__("all is full", 5)

"""
SEVERAL = """class Several(ExceptionGroup):
    def __new__(cls, *faults):
        return super().__new__(cls, "several", faults)

    def __init__(self, *faults):
        self.count = len(faults)

"""


@pytest.mark.parametrize(
    ("defined", "raised", "base", "holds"),
    [
        (LOCKED, "Locked('x')", "OSError", "(e.errno, e.filename, e.owner) == (13, 'x', 'root')"),
        (LOCKED, "Locked('x')", "OSError", "e.args == (13, 'is locked')"),
        (FULL, "Full()", "MemoryError", "e.args == ('all is full', 5)"),
        (SEVERAL, "Several(KeyError(1), OSError(2, 'no'))", "ExceptionGroup", "(e.message, e.count) == ('several', 2)"),
        (SEVERAL, "Several(KeyError(1), OSError(2, 'no'))", "ExceptionGroup", "e.exceptions[1].errno == 2"),
    ],
    ids=["OSError", "its args", "MemoryError", "group", "its parts"],
)
@pytest.mark.parametrize("known", [True, False], ids=["of the prompt", "of the program"])
def test_a_constructor_of_its_own_loses_no_exception(pool, defined, raised, base, holds, known):
    prompt = (defined if known else "") + "def f():\n    pass\n"
    expected = raised.partition("(")[0] if known else base
    test = (
        "def check(candidate):\n"
        "    try: candidate()\n"
        f"    except {expected} as e: assert {holds}, repr(e)\n"
        "    else: assert False\n"
    )
    problem = CheckedFunction("key", (), prompt, "f", test)
    (verdict,) = pool.judge([Task(problem, f"{defined}def f(): raise {raised}\n")])
    assert (verdict.outcome, verdict.detail) == (Outcome.PASSED, "")


def test_a_group_of_nothing_is_refused_without_harm():
    forged = Described("ExceptionGroup", ("ExceptionGroup", "Exception"), "all")
    for arguments in ([], ["all", []], ["all", [1]]):
        assert isinstance(rebuilt(forged, arguments, {}, {}), ProgramError)
