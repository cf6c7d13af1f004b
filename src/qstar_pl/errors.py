"""The exceptions that mean "the user can mend this": each is shown as a single line, without a traceback."""


class UserError(ValueError):
    """A mistake in what the user gave: the message says "<argument> must <rule>, got <value>" in their vocabulary."""


class NonFiniteError(UserError):
    """Training or a model gave a number that is not finite."""

    def __init__(self, message: str, *, everywhere: bool = False) -> None:
        super().__init__(message)
        self.everywhere = everywhere
        """Whether every process of the run raises the same one, so that one of them says it."""
