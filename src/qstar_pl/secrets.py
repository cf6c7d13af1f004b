"""Texts that others may read: without passwords, and without the name of a home folder."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

HIDDEN = "***"
_SECRET_OPTION = re.compile(r"(?:^|[._-])(?:\w*(?:token|secret|password|passwd|credential)|(?:api|access)_?key)$", re.I)
_TOKEN_COUNTS = re.compile(r"tokens$", re.I)
_SECRET_VALUE = re.compile(r"\b(?:hf|sk|ghp|gho|github_pat|xox[bp])[_-][A-Za-z0-9_-]{8,}|(?<=://)[^/\s@]+(?=@)")
_NAMED_VALUE = re.compile(
    r"""(?P<name>(?:token|secret|password|passwd|credential|(?:api|access)_?key)["']?\s*[:=]\s*)"""
    r"""(?:"[^"]*"|'[^']*'|[^\s"',;)}\]]+)""",
    re.I,
)
"""An argument of a class, as in Judge(api_key=abc) or {"api_key": "abc"}."""


def without_secrets(text: str) -> str:
    """Return a text with `***` for what looks like a token, stands before the @ of a URL, or is called like a secret.

    The last is the value in api_key=abc, "api_key": "abc" and the like.
    """
    return _NAMED_VALUE.sub(rf"\g<name>{HIDDEN}", _SECRET_VALUE.sub(HIDDEN, text))


def shown(text: str) -> str:
    """Return a text with `~` for the home folder, and `***` for secrets, see `without_secrets`."""
    home, text = str(Path.home()), without_secrets(text)
    # Not within another path or name: /home/me is no part of /mnt/home/me or /home/me2.
    return text if home in ("", "/") else re.sub(rf"(?<![\w./~-]){re.escape(home)}(?![\w-]|\.\w)", "~", text)


def shown_command(words: Sequence[str]) -> str:
    """Return the words of a command as a line for a shell, see `shown`; the value of a secret option is hidden."""
    out: list[str] = []
    hide = False
    for word in words:
        name, equals, value = word.partition("=")
        if hide and not word.startswith("--"):
            word = HIDDEN
        hide = False
        if word.startswith("--") and is_secret(name.removeprefix("--")):
            word, hide = (f"{name}={HIDDEN}" if equals and value else word), not equals
        out.append(shown(word))
    return " ".join(
        word if "~" in word and shlex.quote(word.replace("~", "")) == word.replace("~", "") else shlex.quote(word)
        for word in out
    )


def is_secret(option: str) -> bool:
    """Return whether an option's name says that its value is for nobody's eyes (`token`, not `max_new_tokens`)."""
    last = option.rpartition(".")[2]
    return _SECRET_OPTION.search(last) is not None and _TOKEN_COUNTS.search(last) is None
