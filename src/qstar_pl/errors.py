"""The one exception that means "the user can mend this": it is shown as a single line, without a traceback."""


class UserError(ValueError):
    """A mistake in what the user gave: the message says "<argument> must <rule>, got <value>" in their vocabulary."""
