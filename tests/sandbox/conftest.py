"""One pool for all tests of a module: a launcher starts in a fraction of a second, but there are many tests."""

import sys
from collections.abc import Iterator

import pytest

from qstar_pl.sandbox import ExecutionPool, Limits

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="module")
def pool() -> Iterator[ExecutionPool]:
    with ExecutionPool(1, Limits(wall_s=4.0, cpu_s=1, memory_mib=256, output_mib=1)) as made:
        yield made
