"""Running programs that nobody has read: sandbox, tests, verdicts. Imports nothing outside the standard library."""

from qstar_pl.execution.limits import Isolation as Isolation
from qstar_pl.execution.limits import Layers as Layers
from qstar_pl.execution.limits import Limits as Limits
from qstar_pl.execution.pool import ExecutionPool as ExecutionPool
from qstar_pl.execution.pool import Task as Task
from qstar_pl.execution.pool import usable_cores as usable_cores
from qstar_pl.execution.problems import TASKS as TASKS
from qstar_pl.execution.problems import CheckedFunction as CheckedFunction
from qstar_pl.execution.problems import FunctionCases as FunctionCases
from qstar_pl.execution.problems import Problem as Problem
from qstar_pl.execution.problems import Script as Script
from qstar_pl.execution.problems import problem_from_metadata as problem_from_metadata
from qstar_pl.execution.sandbox import Sandbox as Sandbox
from qstar_pl.execution.sandbox import describe_isolation as describe_isolation
from qstar_pl.execution.verdict import Outcome as Outcome
from qstar_pl.execution.verdict import Verdict as Verdict
