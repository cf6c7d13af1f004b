"""Reddit TL;DR: posts with summaries, and comparisons of summaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qstar_pl.data.adapters.adapter import Adapter, Row
from qstar_pl.data.adapters.columns import as_number, mapping, need, texts
from qstar_pl.data.adapters.single_turn import single_turn
from qstar_pl.data.adapters.table import Claim, Confidence, Kind, Table
from qstar_pl.data.reading.rejected import RowError
from qstar_pl.types import Example

_POST = ("subreddit", "title", "post", "summary")
_READY = ("prompt", "completion")
_COMPARISON = ("info", "summaries", "choice")


def post_prompt(subreddit: str, title: str, post: str) -> str:
    """Return a post in the form that summarization policies are trained on, open for the summary.

    Source: Stiennon et al. 2020, "Learning to summarize from human feedback", arXiv 2009.01325, appendix C.
    """
    return f"SUBREDDIT: r/{subreddit}\n\nTITLE: {title}\n\nPOST: {post}\n\nTL;DR:"


@dataclass(frozen=True)
class TLDR(Adapter):
    """Rows in one of four schemas, recognized by their columns.

    Posts: `subreddit`, `title`, `post`, `summary` (OpenAI's tldr_3_filtered). Ready prompts: `prompt`, `completion`
    (trl-lib/tldr). Comparisons: `info`, `summaries`, `choice` (openai/summarize_from_feedback; `summaries[choice]` is
    the preferred one; the news articles among them, without a subreddit, are rendered "TITLE: … ARTICLE: … TL;DR:").
    Axes: `info`, `summary` with `axes` (the same dataset's ratings from 1 to 7): the summary is the demonstration where
    its overall rating is at least `min_overall`; else only the post is used. `metadata` then holds `axes`.

    The prompt is one user turn, "SUBREDDIT: r/…\\n\\nTITLE: …\\n\\nPOST: …\\n\\nTL;DR:"; summaries lose surrounding
    white space. `metadata["task"]` is "summary". Rows with an empty post or summary, or with two equal summaries, are
    counted and left out. With a model that was never taught dialogues, `PlainRendering` gives the field's usual text.
    """

    min_overall: float = 5
    """Lowest overall rating of a demonstration, where summaries are rated."""

    def example(self, row: Row, where: str) -> Example:
        """Convert a row of whichever schema; see the class."""
        metadata = {"task": "summary", "source": where}
        if "info" in row and "summary" in row:
            return self._rated(row, where)
        if "info" in row:
            prompt, chosen, rejected = self._comparison(row, where)
            return single_turn(prompt, chosen, rejected, metadata)
        if "prompt" in row:
            prompt, summary = texts(row, _READY, where, type(self).__name__)
            return single_turn(prompt.strip(), summary.strip(), None, metadata)
        subreddit, title, post, summary = texts(row, _POST, where, type(self).__name__)
        prompt = post_prompt(subreddit, title, post) if post.strip() else ""
        return single_turn(prompt, summary.strip(), None, metadata)

    def fields(self, row: Row) -> Mapping[str, str]:
        """See `Adapter.fields`."""
        if "info" in row:
            post = "info.subreddit + info.title + info.post (or info.article)"
            if "summary" in row:
                good = f"summary.axes.overall ≥ {self.min_overall:g}"
                return {"prompt": post, "chosen": "summary.text", "good if": good, "metadata": "summary.axes"}
            return {"prompt": post, "chosen": "summaries[choice]", "rejected": "the other of summaries"}
        if "prompt" in row:
            return {"prompt": "prompt", "chosen": "completion"}
        return {"prompt": "subreddit + title + post", "chosen": "summary"}

    def uses(self, row: Row) -> Sequence[str]:
        """See `Adapter.uses`."""
        if "info" in row:
            return ("info", "summary") if "summary" in row else _COMPARISON
        return _READY if "prompt" in row else _POST

    @classmethod
    def claim(cls, table: Table) -> Claim | None:
        """Claim posts, comparisons and ratings; prompts that are ready are any `PromptResponse`'s."""
        posts = table.holds(Kind.TEXT, of=_POST)
        comparisons = table.kind("info") is Kind.OBJECT and table.holds(of=_COMPARISON)
        rated = table.kind("info") is Kind.OBJECT and table.share("summary", _is_rated) > 0.5
        return Claim(Confidence.DATASET, cls()) if posts or comparisons or rated else None

    def _rated(self, row: Row, where: str) -> Example:
        summary = mapping(row["summary"], "summary", where)
        axes = mapping(summary.get("axes"), "summary.axes", where)
        text = _text(summary, "text", where).strip()
        overall = as_number(axes.get("overall"))
        good = overall is not None and overall >= self.min_overall
        prompt = _info_prompt(mapping(row["info"], "info", where), where)
        return single_turn(
            prompt, text if good else None, None, {"task": "summary", "axes": dict(axes), "source": where}
        )

    def _comparison(self, row: Row, where: str) -> tuple[str, str, str]:
        need(row, _COMPARISON, where, type(self).__name__)
        summaries = row["summaries"]
        if not isinstance(summaries, list) or len(summaries) != 2:
            count = f"{len(summaries)} of them" if isinstance(summaries, list) else type(summaries).__name__
            raise RowError(where, f"summaries must be a list of two, got {count}")
        answers = [_text(mapping(summary, "a summary", where), "text", where).strip() for summary in summaries]
        choice = as_number(row["choice"])
        if choice not in (0, 1):
            raise RowError(where, f"choice must be 0 or 1, got {row['choice']!r}")
        if choice:
            answers.reverse()
        return _info_prompt(mapping(row["info"], "info", where), where), answers[0], answers[1]


def _is_rated(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("axes"), Mapping)


def _info_prompt(info: Mapping[str, Any], where: str) -> str:
    title = info.get("title") or ""
    if info.get("post"):
        return post_prompt(_text(info, "subreddit", where), title, _text(info, "post", where))
    article = info.get("article") or ""
    return f"TITLE: {title}\n\nARTICLE: {article}\n\nTL;DR:" if article else ""


def _text(value: Mapping[str, Any], name: str, where: str) -> str:
    if not isinstance(value.get(name), str):
        raise RowError(where, f"{name} must be text, got {type(value.get(name)).__name__}")
    return str(value[name])
