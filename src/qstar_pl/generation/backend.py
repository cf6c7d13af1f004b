"""What decodes: the value of --backend."""

from __future__ import annotations

from qstar_pl.errors import UserError

BACKENDS = ("auto", "hf", "transformers", "torch")
"""Words for the one engine there is, Hugging Face models decoded by this project's loop."""


def check_backend(name: str) -> None:
    """See that a backend is one that can draw from q.

    Raises:
        UserError: for another one. q needs both models' whole next-token laws at every step, and its log-probabilities
            exactly; a server such as vLLM hands out the few likeliest tokens of one model.

    """
    if name.lower() not in BACKENDS:
        raise UserError(
            f"backend must be one of {', '.join(BACKENDS)}, got {name!r}: q is formed from both models' whole "
            "next-token distributions, which other engines do not give"
        )
