"""Functions that decoding compiles: whether that is asked for, for which shapes, and what happens where it fails."""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from types import FunctionType
from typing import Any

import torch

from qstar_pl.errors import UserError

DEFAULT_BACKEND = "inductor"
"""What `torch_compile=true` means."""


@dataclass(frozen=True)
class Compiling:
    """How the sessions that are started now read their tokens."""

    backend: str
    """One of torch.compiler.list_backends(None)."""
    tokens: int
    """Most tokens that a row will get behind its prompt: what room a fixed cache is made with."""


_COMPILING: ContextVar[Compiling | None] = ContextVar("compiling", default=None)


@contextmanager
def compiling(how: Compiling | None) -> Iterator[None]:
    """Let sessions that are started inside the block be compiled.

    A context, not an argument of `NextToken.start`: a user's own target that asks a language model need not know of it.
    """
    token = _COMPILING.set(how)
    try:
        yield
    finally:
        _COMPILING.reset(token)


def compiling_now() -> Compiling | None:
    """Return what is asked for; None: nothing is compiled."""
    return _COMPILING.get()


def backend_of(torch_compile: bool | str) -> str | None:
    """Return the backend that an option `torch_compile` means; None: nothing is compiled.

    Raises:
        UserError: if torch.compile knows no such backend.

    """
    if torch_compile in (True, False):
        return DEFAULT_BACKEND if torch_compile else None
    check_backend(str(torch_compile))
    return str(torch_compile)


def check_backend(backend: str) -> None:
    """Raise UserError unless torch.compile knows the backend."""
    if backend not in torch.compiler.list_backends(exclude_tags=()):
        usual = ", ".join(["aot_eager", *torch.compiler.list_backends()])  # without those for debugging
        raise UserError(f"torch_compile must be true, false or a backend of torch.compile ({usual}), got {backend}")


def failures() -> tuple[type[Exception], ...]:
    """Return what torch.compile raises where it cannot work."""
    return torch._dynamo.exc.TorchDynamoException, ImportError


def reason(error: Exception) -> str:
    """Return what went wrong, in one line."""
    # The first line says who raised, the second what; pages of advice follow.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines[:2])[:200]


def compiled(function: Callable[..., Any], backend: str, device: torch.device) -> Callable[..., Any]:
    """Return `function` as one graph per shape of its arguments, compiled on the first call with such a shape.

    On CUDA inductor's kernels are recorded and replayed as one CUDA graph, whose results the next call overwrites.
    """
    options: dict[str, Any] = {"fullgraph": True, "dynamic": False, "backend": backend}
    if device.type == "cuda" and backend == DEFAULT_BACKEND:
        options["mode"] = "reduce-overhead"
    # Functions of one code share a list of variants otherwise, whose length is limited.
    if "isolate_recompiles" in inspect.signature(torch.compile).parameters:
        options["isolate_recompiles"] = True
    elif isinstance(function, FunctionType):  # torch < 2.12 tells functions apart by their code object
        function = copied(function)
    result: Callable[..., Any] = torch.compile(function, **options)
    return result


def free_callers() -> None:
    """Free what called a function that was compiled just now, once it is done; to be called after a first call.

    The compiler leaves exceptions in cycles, which hold the frames of all its callers, and these their caches. It
    collects such cycles itself, but not those that have outlived a collection meanwhile.
    """
    gc.collect()


def copied(function: FunctionType) -> FunctionType:
    """Return the same function with a code object of its own."""
    code = function.__code__.replace()
    return FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)


def bucket(count: int, least: int = 1) -> int:
    """Return the smallest of 1, 2, 3, 4, 6, 8, 12, 16, 24, … (powers of two, and one and a half times those) ≥ count.

    So few shapes are compiled, and no more than a third of the larger one is there for nothing.
    """
    size = 1 << (max(count, least) - 1).bit_length()
    half = size // 4 * 3
    return half if half >= max(count, least) else size


@cache
def notice(text: str) -> None:
    """Say something on standard error, once per process."""
    print(f"notice: {text}", file=sys.stderr)
