"""How often the text-only gold heuristic prefers what people (or a judge) preferred, on datasets from elsewhere.

    python benchmarks/gold_agreement.py --hh helpful-base.test.jsonl.gz --tldr comparisons.jsonl.gz

A tie of the heuristic counts one half.
"""

import argparse
from collections.abc import Iterable

from qstar_pl.data import HHRLHF, TLDR, RowRejected
from qstar_pl.data.adapters.rows import convert
from qstar_pl.tiny_world import gold_reward


def agreement(pairs: Iterable[tuple[str, str, str, str]]) -> tuple[float, int]:
    """Return the share of (question, preferred, other, task) in which the heuristic agrees, and their number."""
    scores: list[float] = []
    for question, preferred, other, task in pairs:
        first, second = (gold_reward(question, answer, {"task": task}) for answer in (preferred, other))
        scores.append(0.5 if first == second else float(first > second))
    return sum(scores) / len(scores), len(scores)


def dialogues(path: str) -> Iterable[tuple[str, str, str, str]]:
    """Yield the usable pairs of an HH-RLHF file."""
    adapter = HHRLHF()
    for where, row in adapter.rows(path, None):
        try:
            example = convert(adapter, where, row)
        except RowRejected:
            continue
        yield example.turns[-1].content, example.chosen or "", example.rejected or "", "dialogue"


def summaries(path: str) -> Iterable[tuple[str, str, str, str]]:
    """Yield the pairs of a file in the schema of openai/summarize_from_feedback."""
    for example in TLDR().read(path).examples:
        yield example.metadata["row"]["info"]["post"], example.chosen or "", example.rejected or "", "summary"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hh", help="an HH-RLHF file")
    parser.add_argument("--tldr", help="a file of summary comparisons")
    options = parser.parse_args()
    for name, path, pairs in (("HH-RLHF", options.hh, dialogues), ("TL;DR", options.tldr, summaries)):
        if path:
            share, count = agreement(pairs(path))
            print(f"{name}: the heuristic prefers the preferred answer in {share:.1%} of {count} pairs")


if __name__ == "__main__":
    main()
