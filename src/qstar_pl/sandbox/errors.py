"""Errors about what a caller gave, or about this machine."""


class SandboxError(ValueError):
    """A mistake that a user can mend; the message says "<argument> must <rule>, got <value>"."""
