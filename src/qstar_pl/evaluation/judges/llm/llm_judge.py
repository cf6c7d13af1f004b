"""A language model as the judge."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from qstar_pl.checks import at_least, within
from qstar_pl.describing import described
from qstar_pl.errors import UserError
from qstar_pl.evaluation.judges.comparison import Comparison
from qstar_pl.evaluation.judges.judge import Judge, Progress
from qstar_pl.evaluation.judges.llm.asker import Asker, Question
from qstar_pl.evaluation.judges.llm.budget import Budget, BudgetError, Ledger
from qstar_pl.evaluation.judges.llm.cache import Cache, Judgment
from qstar_pl.evaluation.judges.llm.endpoint import OPENAI, Endpoint
from qstar_pl.evaluation.judges.llm.limits import Limits
from qstar_pl.evaluation.judges.llm.outcome import Shown, verdict_of_orders, verdict_of_scores
from qstar_pl.evaluation.judges.llm.pending import Pending
from qstar_pl.evaluation.judges.llm.reply import RequestError
from qstar_pl.evaluation.judges.llm.tally import Tally
from qstar_pl.evaluation.judges.llm.template import Template
from qstar_pl.evaluation.judges.llm.template_files import read_template
from qstar_pl.evaluation.judges.llm.verdict_forms import Marks
from qstar_pl.evaluation.judges.llm.workers import in_parallel
from qstar_pl.evaluation.judges.verdict import Verdict
from qstar_pl.hashing import digest, number
from qstar_pl.secrets import without_secrets
from qstar_pl.types import Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MOST_LOGPROBS = 20


@dataclass(frozen=True)
class LLMJudge(Judge):
    """Asks a model behind an OpenAI-compatible endpoint; what it has said once is kept on disk and never paid again.

    A reply counts only in the form that the template asks for, and is never guessed. Needs the extra `judge`.
    """

    model: str
    """As the endpoint calls it."""
    base_url: str | None = None
    """Of the endpoint, e.g. http://localhost:8000/v1; None: $OPENAI_BASE_URL, or else OpenAI's own."""
    key_variable: str | None = field(default=None, repr=False)
    """Environment variable that holds the key; None: OPENAI_API_KEY for OpenAI, and no key for anybody else."""
    template: str = "alpaca_eval"
    """A name (alpaca_eval, code, hh_harmless, hh_helpful, mt_bench_pair, mt_bench_score, tldr) or a file."""
    order: Literal["both", "seeded"] = "both"
    """Of a pair: each comparison in both orders (if they disagree it is a tie), or in one that the seed decides."""
    seed: int = 0
    """Of `order=seeded`."""
    temperature: float | None = 0.0
    """None: not sent, for models that know none."""
    max_tokens: int | None = 1024
    """Most tokens of a reply; None: not sent."""
    max_tokens_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the endpoint calls it."""
    top_logprobs: int = 0
    """Alternatives per token to ask for, up to 20: a verdict is then a probability, where the server gives them. 0:
    none."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """More fields of the request, sent as they are, e.g. {reasoning_effort: low}."""
    endpoint_name: str | None = None
    """What the cache calls the endpoint; None: its address. Named, verdicts stay known when a server of your own moves
    to another host or port."""
    cache: str | None = field(default=None, repr=False)
    """Folder of verdicts; None: $XDG_CACHE_HOME/qstar_pl/verdicts, by default ~/.cache/qstar_pl/verdicts."""
    retry_unparsable: bool = field(default=False, repr=False)
    """Whether replies without a verdict (unparsable, refused, cut) that the cache holds are asked again."""
    limits: Limits = field(default=Limits(), repr=False)
    """How fast it is asked, and how often again."""
    budget: Budget = field(default=Budget(), repr=False)
    """What a run may cost, and the prices."""
    expensive: bool = field(default=True, repr=False)
    keeps_verdicts = True

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise UserError("model must name a model of the endpoint, got nothing")
        Endpoint(
            OPENAI if self.base_url is None else self.base_url, self.key_variable, self.limits.timeout_s
        ).check_options()
        at_least(0, temperature=self.temperature)
        at_least(1, max_tokens=self.max_tokens)
        within(f"[0, {MOST_LOGPROBS}]", top_logprobs=self.top_logprobs)
        if self.max_tokens is None and (self.budget.max_cost is not None or self.limits.tokens_per_minute is not None):
            raise UserError("max_tokens must be given with budget.max_cost or limits.tokens_per_minute, got None")
        if without_secrets(repr(dict(self.extra))) != repr(dict(self.extra)):
            raise UserError("extra must hold no key or password, since results show it; got one")
        for name in self.extra:
            if name in ("model", "messages", "temperature", self.max_tokens_name, "logprobs", "top_logprobs", "stream"):
                raise UserError(f"extra must not hold {name}, which is this package's to send")

    def __getstate__(self) -> dict[str, Any]:
        """Return the options alone: a copy begins without connections and counts."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def check(self) -> None:
        """See `Judge.check`: the template, the client, the address and the key."""
        form = self._template.form
        if self.top_logprobs and not isinstance(form, Marks):
            raise UserError(f"top_logprobs must be 0 for a template without marks, got {self.template}")
        self._endpoint.check()

    def build(self, tokenizer: PreTrainedTokenizerBase | None = None) -> None:
        """See `Judge.build`: opens the cache.

        Raises:
            UserError: if something is not there that `check` asks for, or the cache cannot be used.

        """
        self.check()
        _ = self._asker

    def unknown(self, example: Example) -> str | None:
        """See `Judge.unknown`: what the template shows must be there."""
        return self._template.lacking(example)

    @property
    def description(self) -> str:
        """See `Judge.description`: with the options that are not their defaults."""
        given = [one for one in fields(self) if one.repr and getattr(self, one.name) != _default(one)]
        options = ", ".join(f"{one.name}={getattr(self, one.name)!r}" for one in given)
        return f"{type(self).__name__}({options})"

    @property
    def fingerprint(self) -> str:
        """See `Judge.fingerprint`: of all options that decide, and of what the template's file says."""
        return digest(f"{described(self)} {self._template.digest}").hex()

    def compare(self, comparisons: Sequence[Comparison], progress: Progress | None = None) -> list[Verdict]:
        """See `Judge.compare`; each question is asked once, however many comparisons share it.

        Raises:
            UserError: if the endpoint refuses everything, or the budget is spent: what it has said is kept.

        """
        self.build()
        asker = self._asker
        pending = Pending([self._questions(one) for one in comparisons], progress)
        asked = []
        for question in pending.questions:
            if (found := asker.known(question)) is None:
                asked.append(question)
            else:
                self._tally.add_cached(found)
                pending.settle(question, found)
        try:
            in_parallel(asked, asker.ask, pending.settle, workers=self.limits.workers, stop=asker.begin())
        except (RequestError, BudgetError) as error:
            address = self._endpoint.address
            rule = error.rule if isinstance(error, BudgetError) else f"the judge at {address} must answer"
            judged = f"{pending.settled} of {len(comparisons)} comparisons judged"
            kept = "what it has said is kept, and the next run goes on there"
            raise UserError(f"{rule}, got {error} with {judged}; {kept}") from None
        finally:
            asker.cache.flush()
        return [self._verdict(judgments) for judgments in pending.judgments()]

    def report(self) -> dict[str, Any]:
        """See `Judge.report`: position bias, requests, failures, tokens and cost."""
        return self._tally.as_json(self._asker.ledger, self._asker.cache)

    def close(self) -> None:
        """See `Judge.close`."""
        self._endpoint.close()
        if "_asker" in self.__dict__:
            self._asker.cache.close()

    def _questions(self, comparison: Comparison) -> dict[Shown, Question]:
        """Return a comparison's requests, by which answer they show first, or alone."""
        both: dict[Shown, list[str]] = {
            "answer_first": [comparison.answer, comparison.baseline],
            "baseline_first": [comparison.baseline, comparison.answer],
        }
        if not self._template.pairwise:
            return {shown: self._question(comparison.example, texts[:1], shown) for shown, texts in both.items()}
        if self.order == "seeded":
            # Of the texts, not of their place in the data: the same pair has the same order in every run.
            drawn = repr((self.seed, comparison.example.key, sorted(both["answer_first"])))
            first = sorted(both["answer_first"])[number(drawn) & 1]
            shown: Shown = "answer_first" if first == comparison.answer else "baseline_first"
            both = {shown: both[shown]}
        return {shown: self._question(comparison.example, texts, shown) for shown, texts in both.items()}

    def _question(self, example: Example, texts: Sequence[str], shown: Shown) -> Question:
        sent = {"temperature": self.temperature, self.max_tokens_name: self.max_tokens}
        if self.top_logprobs:
            sent |= {"logprobs": True, "top_logprobs": self.top_logprobs}
        body = {"model": self.model, "messages": self._template.filled(example, texts), **self.extra}
        body |= {name: value for name, value in sent.items() if value is not None}
        facts = {
            "endpoint": self._address,
            "model": self.model,
            "template": self.template,
            "template_digest": self._template.digest,
            "order": shown if self._template.pairwise else "alone",
        }
        return Question.of(body, self._template.form, facts)

    def _verdict(self, judgments: Mapping[Shown, Judgment]) -> Verdict:
        if self._template.pairwise:
            verdict = verdict_of_orders(judgments)
        else:
            verdict = verdict_of_scores(judgments["answer_first"], judgments["baseline_first"])
        self._tally.add(verdict, judgments.values())
        return verdict

    @property
    def _address(self) -> str:
        """What the cache calls the endpoint."""
        return self.endpoint_name or self._endpoint.address

    @cached_property
    def _template(self) -> Template:
        return read_template(self.template)

    @cached_property
    def _endpoint(self) -> Endpoint:
        return Endpoint(self.base_url, self.key_variable, self.limits.timeout_s)

    @cached_property
    def _tally(self) -> Tally:
        return Tally()

    @cached_property
    def _asker(self) -> Asker:
        folder = Path(self.cache).expanduser() if self.cache is not None else default_cache()
        # A folder for each kind of judge: a run reads what could be of use to it, not all that was ever judged.
        kind = repr((self._address, self.model, self._template.digest))
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", f"{self.model}-{Path(self.template).stem}")[-80:].lstrip(".")
        folder /= f"{name}-{digest(kind).hex()}"
        return Asker(self._endpoint, Cache(folder), self.limits, Ledger(self.budget), self.retry_unparsable)


def _default(option: Field[Any]) -> Any:
    return option.default if option.default_factory is MISSING else option.default_factory()


def default_cache() -> Path:
    """Return where verdicts lie that no option says the place of."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qstar_pl" / "verdicts"
