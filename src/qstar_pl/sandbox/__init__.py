"""Running programs that nobody has read: sandbox, tests, verdicts. Imports nothing outside the standard library."""

from qstar_pl.sandbox.errors import SandboxError as SandboxError
from qstar_pl.sandbox.limits import Isolation as Isolation
from qstar_pl.sandbox.limits import Layers as Layers
from qstar_pl.sandbox.limits import Limits as Limits
from qstar_pl.sandbox.pool import ExecutionPool as ExecutionPool
from qstar_pl.sandbox.pool import Task as Task
from qstar_pl.sandbox.pool import usable_cores as usable_cores
from qstar_pl.sandbox.problems import TASKS as TASKS
from qstar_pl.sandbox.problems import CheckedFunction as CheckedFunction
from qstar_pl.sandbox.problems import FunctionCases as FunctionCases
from qstar_pl.sandbox.problems import Problem as Problem
from qstar_pl.sandbox.problems import Script as Script
from qstar_pl.sandbox.problems import problem_from_metadata as problem_from_metadata
from qstar_pl.sandbox.sandbox import Sandbox as Sandbox
from qstar_pl.sandbox.sandbox import describe_isolation as describe_isolation
from qstar_pl.sandbox.verdict import Outcome as Outcome
from qstar_pl.sandbox.verdict import Verdict as Verdict
