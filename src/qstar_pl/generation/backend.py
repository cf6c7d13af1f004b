"""The decoding engine: the value of --backend."""

from __future__ import annotations

from qstar_pl.errors import UserError

BACKENDS = ("auto", "hf", "transformers", "torch")
"""Names of the only engine: Hugging Face models, decoded by this project's loop."""


def check_backend(name: str) -> None:
    """Check that a backend can sample from q.

    Raises:
        UserError: if not. q needs both models' whole next-token distributions at every step, and exact
            log-probabilities; a server such as vLLM returns only the few likeliest tokens of one model.

    """
    if name.lower() not in BACKENDS:
        raise UserError(
            f"backend must be one of {', '.join(BACKENDS)}, got {name!r}: q is formed from both models' whole "
            "next-token distributions, which other engines do not give"
        )
