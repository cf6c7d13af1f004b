"""One request after another, until each has its judgment or a reason why there is none."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from qstar_pl.evaluation.judges.llm.budget import Ledger
from qstar_pl.evaluation.judges.llm.cache import Cache, Judgment
from qstar_pl.evaluation.judges.llm.endpoint import Endpoint
from qstar_pl.evaluation.judges.llm.limits import Limits, RateLimiter, StoppedError
from qstar_pl.evaluation.judges.llm.reply import CONNECTION, Reply, RequestError, Usage
from qstar_pl.evaluation.judges.llm.token_odds import weighted_preference
from qstar_pl.evaluation.judges.llm.verdict_forms import Marks, UnparsableError, VerdictForm
from qstar_pl.hashing import digest

BYTES_PER_TOKEN = 4
"""About; for the rate limit, until the endpoint says how many there were."""
UNREACHED = 2
"""Repetitions of a request to an endpoint that nothing was ever heard of."""
MESSAGE_TOKENS = 16
"""More than any chat format puts around a message."""


@dataclass(frozen=True)
class Question:
    """A request, and how its reply is read."""

    key: str
    body: Mapping[str, Any]
    form: VerdictForm
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the cache keeps beside the judgment for whoever reads it."""

    @classmethod
    def of(cls, body: Mapping[str, Any], form: VerdictForm, facts: Mapping[str, Any]) -> Question:
        """Return a question whose key is a hash of all that its answer depends on.

        Args:
            body: with the model, the settings and the messages, so with both answers in their order.
            form: how the reply is read.
            facts: of which all but the order decide too: the endpoint, the template's digest.

        """
        decides = {"body": body, **{name: fact for name, fact in facts.items() if name not in ("order", "template")}}
        return cls(digest(json.dumps(decides, sort_keys=True), size=16).hex(), body, form, facts)

    @property
    def most(self) -> Usage:
        """Tokens that it takes at most; a token has at least a byte."""
        return Usage(
            sum(len(one["content"].encode()) + MESSAGE_TOKENS for one in self.body["messages"]), self._longest_reply
        )

    @property
    def about(self) -> int:
        """Tokens that it takes about, with the longest reply."""
        return self.most.prompt // BYTES_PER_TOKEN + self._longest_reply

    @property
    def _longest_reply(self) -> int:
        return int(self.body.get("max_tokens", self.body.get("max_completion_tokens", 0)))


@dataclass
class Asker:
    """Asks, waits, repeats, counts and keeps; from several threads at a time."""

    endpoint: Endpoint
    cache: Cache
    limits: Limits
    ledger: Ledger
    retry_unparsable: bool
    stop: threading.Event = field(default_factory=threading.Event)
    _asked: set[str] = field(default_factory=set)
    _in_a_row: int = 0
    _reached: bool = False
    """Whether the endpoint was ever heard of."""
    _replied: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._random = Random()
        limits = self.limits
        self._limiter = RateLimiter(limits.requests_per_minute, limits.tokens_per_minute, self.stop.wait)

    def begin(self) -> threading.Event:
        """Let requests begin again after a stop; return what stops them."""
        self._in_a_row = 0
        self.stop.clear()
        return self.stop

    def known(self, question: Question) -> Judgment | None:
        """Return what the cache holds; a reply without a verdict counts unless it is to be asked again."""
        found = self.cache.find(question.key)
        again = self.retry_unparsable and question.key not in self._asked
        return None if found is not None and found.value is None and again else found

    def ask(self, question: Question) -> Judgment:
        """Return the judgment; one that the model has given is kept on disk before this returns.

        Raises:
            RequestError: if no request to this endpoint can succeed, or a row of them has not.
            BudgetError: if the budget does not reach.
            StoppedError: if the evaluation ends meanwhile.

        """
        if (found := self.known(question)) is not None:  # another process may have asked it meanwhile
            return found
        try:
            reply = self._reply(question)
        except RequestError as failure:
            if failure.kind == "endpoint":
                raise
            # What is this request's own fault says something of the others only if none has ever succeeded.
            if (failure.kind == "passing" or not self._replied) and self._failed() >= self.limits.failures_in_a_row:
                raise
            return Judgment(None, str(failure), failure.usage)
        with self._lock:
            self._in_a_row, self._replied = 0, True
        judgment = judged(reply, question.form)
        self._asked.add(question.key)
        self.cache.keep(question.key, judgment, {**question.facts, "reply": reply.text})
        return judgment

    def _failed(self) -> int:
        """Count a question without a reply; return how many there have been in a row."""
        with self._lock:
            self._in_a_row += 1
            return self._in_a_row

    def _reply(self, question: Question) -> Reply:
        """Return a reply, after as many repetitions as are allowed."""
        for repetition in range(self.limits.max_retries + 1):
            try:
                return self._once(question)
            except RequestError as failure:
                self.ledger.failed(failure.reason)
                self._reached = self._reached or failure.reason != CONNECTION
                most = min(UNREACHED, self.limits.max_retries)
                if not self._reached and repetition == most:  # a wrong address is not worth long waits
                    raise RequestError(failure.reason, kind="endpoint", detail=failure.detail) from None
                if failure.kind != "passing" or repetition == self.limits.max_retries:
                    raise
                asked = failure.retry_after_s
                if asked is not None and asked > self.limits.longest_retry_after_s:
                    detail = f"it asks to wait {asked:.0f} s, longer than limits.longest_retry_after_s"
                    raise RequestError(failure.reason, kind="endpoint", detail=detail) from None
                wait = self.limits.wait_s(repetition, asked, self._random)
                if failure.busy:
                    self._limiter.pause(wait)
                if self.stop.wait(wait):
                    raise StoppedError from None
                self.ledger.repeated()
        raise AssertionError("unreachable")

    def _once(self, question: Question) -> Reply:
        slot = self._limiter.enter(question.about)
        if self.stop.is_set():
            raise StoppedError
        reserved = self.ledger.reserve(question.most)
        usage, replied = None, False
        try:
            if self.stop.is_set():  # while it waited for what others cost
                raise StoppedError
            reply = self.endpoint.ask(question.body)
            usage, replied, self._reached = reply.usage, True, True
            return reply
        except RequestError as failure:
            usage = failure.usage
            raise
        finally:
            self.ledger.settle(reserved, usage, replied=replied)
            if usage is not None:
                self._limiter.correct(slot, usage.prompt + usage.completion)


def judged(reply: Reply, form: VerdictForm) -> Judgment:
    """Return what a reply says; where it does not say it in the form that was asked for, why it counts as nothing."""

    def none(reason: str) -> Judgment:
        return Judgment(None, reason, reply.usage)

    if reply.refused:
        return none("refused")
    try:
        value = form.read(reply.text)
    except UnparsableError as missing:
        return none("cut at max_tokens" if reply.finish == "length" else f"unparsable: {missing}")
    # The last line of what was cut may be a quotation; a reply that is nothing but its verdict is whole.
    if reply.finish == "length" and "\n" in reply.text.strip():
        return none("cut at max_tokens")
    odds = weighted_preference(reply.text, reply.tokens, form) if isinstance(form, Marks) and reply.tokens else None
    return Judgment(value if odds is None else odds, None, reply.usage, weighted=odds is not None)
