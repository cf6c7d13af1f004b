"""The exceptions that mean "the user can mend this": each is shown as a single line, without a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(ValueError):
    """A mistake in what the user gave: the message says "<argument> must <rule>, got <value>" in their vocabulary."""

    everywhere: bool = False
    """Whether every process of the run raises the same error, so that one message is enough."""


class NonFiniteError(UserError):
    """Training or a model gave a number that is not finite."""

    def __init__(self, message: str, *, everywhere: bool = False) -> None:
        super().__init__(message)
        self.everywhere = everywhere


@contextmanager
def argument_called(name: str, inside: str) -> Iterator[None]:
    """Let a mistake that is found further inside name the argument as the user knows it.

    Args:
        name: the argument that was given.
        inside: what it is called where the mistake is found.

    """
    try:
        yield
    except UserError as error:
        if not str(error).startswith(f"{inside} must "):
            raise
        raise UserError(f"{name}{str(error).removeprefix(inside)}") from error
