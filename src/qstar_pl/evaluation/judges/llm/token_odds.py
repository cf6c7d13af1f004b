"""Verdicts as probabilities: how likely each mark was, by the log-probabilities of the token that decides."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qstar_pl.evaluation.judges.llm.verdict_forms import Marks


@dataclass(frozen=True)
class TokenOdds:
    """A token of a reply, and what else could have stood there."""

    text: bytes
    alternatives: Mapping[bytes, float]
    """Text of a token → its log-probability, in nats; the token itself is one of them."""


def weighted_preference(reply: str, tokens: Sequence[TokenOdds], form: Marks) -> float | None:
    """Return the probability that the answer shown first is preferred, with half of that of a tie.

    As AlpacaEval 2 weighs its verdicts: p(first) / (p(first) + p(second)), here with ties. The token that decides is
    the one that ends what all marks have in common; an alternative counts for the mark that it begins or goes on with,
    and for none if that could be several. A mark that is not among the alternatives has probability 0.

    Args:
        reply: with one mark, as `form.mark` finds it.
        tokens: of the reply, from its first on.
        form: the marks.

    Returns:
        None if the tokens are not those of the reply or none of them says anything of a mark.

    """
    text = reply.encode()
    if b"".join(token.text for token in tokens) != text:
        return None
    mark = form.mark(reply).encode()
    decides = text.rindex(mark) + len(form.common.encode())
    start = 0
    for token in tokens:
        if start + len(token.text) > decides:
            return _preference(token.alternatives, text[start:decides], form)
        start += len(token.text)
    return None


def _preference(alternatives: Mapping[bytes, float], before: bytes, form: Marks) -> float | None:
    rests = {mark.removeprefix(form.common).encode(): value for mark, value in form.values.items()}
    mass = weighted = 0.0
    for token, logprob in alternatives.items():
        if not token.startswith(before):
            continue
        rest = token[len(before) :]
        said = {value for mark, value in rests.items() if rest and (mark.startswith(rest) or rest.startswith(mark))}
        if len(said) == 1:
            mass += math.exp(logprob)
            weighted += math.exp(logprob) * said.pop()
    return weighted / mass if mass > 0 else None
