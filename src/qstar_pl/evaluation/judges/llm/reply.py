"""What an endpoint answers, and the ways in which it does not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from qstar_pl.evaluation.judges.llm.token_odds import TokenOdds


@dataclass(frozen=True)
class Usage:
    """Tokens that a request was charged for."""

    prompt: int
    completion: int


@dataclass(frozen=True)
class Reply:
    """What the model wrote."""

    text: str
    finish: str
    """Why it ended: "stop", "length", "content_filter", …; "" where the server does not say."""
    refused: bool
    usage: Usage | None
    """None: the server does not say."""
    tokens: tuple[TokenOdds, ...] = ()
    """Empty where the server gives no log-probabilities."""


CONNECTION = "connection error"
"""Reason of a failure to get to the endpoint, or of a connection that ended early."""


ROUNDING = 1e-3
"""Nats by which the log-probability of a sure token may lie above 0 in a server's arithmetic."""


class RequestError(Exception):
    """A request that has brought no reply."""

    def __init__(
        self,
        reason: str,
        *,
        kind: Literal["passing", "request", "endpoint"] = "passing",
        detail: str = "",
        retry_after_s: float | None = None,
        busy: bool = False,
        usage: Usage | None = None,
    ) -> None:
        """Describe it.

        Args:
            reason: a few words that are the same for all failures of its sort, e.g. "HTTP 500".
            kind: whether it may pass, is this request's own, or would befall every request.
            detail: in one line, without keys.
            retry_after_s: how long the server asks to wait.
            busy: whether the server turns away all requests for now.
            usage: tokens that were charged all the same.

        """
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
        self.kind = kind
        self.retry_after_s = retry_after_s
        self.busy = busy
        self.usage = usage

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


def reply_of(body: str) -> Reply:
    """Return the reply in the body of a chat completion.

    Raises:
        RequestError: if it is none, or the model wrote nothing for no stated reason.

    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError("malformed body") from error
    usage = _usage(found)
    try:
        choice = found["choices"][0]
        content, refusal = choice["message"].get("content"), choice["message"].get("refusal")
        finish = choice.get("finish_reason") or ""
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        # Some servers say so with HTTP 200.
        said = found.get("error") if isinstance(found, Mapping) else None
        raise RequestError("malformed body", detail=str(said) if said else "", usage=usage) from error
    if not isinstance(content, str | None) or not isinstance(finish, str):
        raise RequestError("malformed body", usage=usage)
    refused = bool(refusal) or finish == "content_filter"
    if not (content or "").strip() and not refused and finish != "length":
        raise RequestError("empty reply", usage=usage)
    return Reply(content or "", finish, refused, usage, _tokens(choice))


def _usage(found: Any) -> Usage | None:
    given = found.get("usage") if isinstance(found, Mapping) else None
    if not isinstance(given, Mapping):
        return None
    prompt, completion = given.get("prompt_tokens"), given.get("completion_tokens", 0)
    # `type`, since True is an int too.
    return (
        Usage(prompt, completion) if type(prompt) is type(completion) is int and min(prompt, completion) >= 0 else None
    )


def _tokens(choice: Mapping[str, Any]) -> tuple[TokenOdds, ...]:
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    if not isinstance(content, Sequence) or isinstance(content, str):
        return ()
    try:
        return tuple(TokenOdds(_bytes(one), _alternatives(one)) for one in content)
    except (KeyError, TypeError, ValueError, AttributeError):
        return ()


def _alternatives(token: Mapping[str, Any]) -> dict[bytes, float]:
    found = {_bytes(one): float(one["logprob"]) for one in [*(token.get("top_logprobs") or []), token]}
    if not all(logprob <= ROUNDING for logprob in found.values()):  # written so, it refuses NaN too
        raise ValueError("a log-probability above 0")
    return found


def _bytes(token: Mapping[str, Any]) -> bytes:
    """Return a token's bytes: one of several that make up a character has no text of its own."""
    given = token.get("bytes")
    if not isinstance(given, list | None):  # of a number, `bytes` would make as many zeros
        raise TypeError("bytes that are no list")
    return str(token["token"]).encode() if given is None else bytes(given)
