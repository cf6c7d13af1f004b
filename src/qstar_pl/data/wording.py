"""Messages about data in terms of the options of the command that reads them.

The code that reads data speaks of `fit`'s options: `path`, `split`, `--data.adapter`. Other commands have other names
for them, which are given here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from lightning_utilities.core.rank_zero import rank_zero_only

from qstar_pl.console import SpellingConsole
from qstar_pl.errors import UserError
from qstar_pl.spelling import without_controls

Rules = Sequence[tuple[str, str]]
"""Regular expressions of what is said for `fit` → what is said instead, applied in this order."""
OF_DATA: Rules = ((r"--data\.", "--"),)
"""For `qstar data`, whose options have no group."""
OF_GENERATE: Rules = (
    (r"^path must", "dataset must"),
    (r"^split must", "dataset_split must"),
    (r"--data\.adapter=PromptResponse --data\.adapter\.prompt_field=", "--prompt_field="),
    (
        r"--data\.adapter=(\w+) --data\.adapter\.(\w+)=(\w+)",
        r"""--dataset_adapter '{"class_path": "\1", "init_args": {"\2": "\3"}}'""",
    ),
    (r"--data\.adapter\.(\w+)", r"\1 among the init_args of --dataset_adapter"),
    (r"--data\.adapter=", "--dataset_adapter="),
    (r"--data\.split", "--dataset_split"),
    (r"--data\.path", "--dataset"),
)
"""For `qstar generate`."""
_RULES: ContextVar[Rules] = ContextVar("rules", default=())


def worded(text: str) -> str:
    """Return a message about data in the words of the command at hand."""
    for pattern, instead in _RULES.get():
        text = re.sub(pattern, instead, text)
    return text


@contextmanager
def speaking(rules: Rules) -> Iterator[None]:
    """Have all messages about data in the block, errors included, worded by these rules."""
    token = _RULES.set(rules)
    try:
        yield
    except UserError as error:
        raise UserError(worded(str(error))) from error
    finally:
        _RULES.reset(token)


def announce(text: str) -> None:
    """Print what was found out about the data, on one process only."""
    # Lightning sets the rank when it is imported; without it there is one process, and reading data does not import it.
    if getattr(rank_zero_only, "rank", 0) == 0:
        SpellingConsole().print(without_controls(worded(text)), markup=False, highlight=False, soft_wrap=True)
