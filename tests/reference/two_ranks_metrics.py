"""One of two processes that measure: `python two_ranks_metrics.py <output.json>`, see `reference.ranks`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, distributed

sys.path.insert(0, str(Path(__file__).parents[1]))

from reference.text_answers import answers

from qstar_pl.evaluation.metrics import (
    BLEU,
    AnswerMetric,
    Answers,
    ChrF,
    CorpusDistinct,
    Measurements,
    ProxyCalibration,
    Scores,
    SelfBLEU,
    Sums,
    TextLength,
    TokenF1,
)

CHOSEN = "a b c d a b c d e f"
WORDS = ["a", "b", "c", "d", "e", "f", "g", "h"]


class MatchedWords(AnswerMetric):
    """Σ hits / Σ words over all answers, which is no mean of the answers' shares: sums that are vectors."""

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        rows = [[sum(word in "abc" for word in text.split()), len(text.split())] for text in answers.texts]
        return {"matched": Scores.all(torch.tensor(rows))}

    def compute(self, sums: Sums) -> Mapping[str, Tensor | float]:
        hits, words = sums["matched"]
        return {"matched": hits / words}


def batches() -> list[Answers]:
    """Return ten batches of two prompts with three answers of 1 to 9 words."""
    torch.manual_seed(0)
    texts = [[" ".join(WORDS[i] for i in torch.randint(8, (1 + (n + k) % 9,))) for k in range(3)] for n in range(20)]
    found = []
    for start in range(0, 20, 2):
        of_batch = [(f"p{number}", texts[number]) for number in (start, start + 1)]
        rewards = torch.randn(6)
        found.append(answers(of_batch, CHOSEN, proxy=rewards, gold=rewards + torch.randn(6)))
        # Parts that alternate, and one that a single rank has.
        parts = {f"p{number}": "last" if number > 15 else f"{number % 2}" for number in range(20)}
        found[-1].examples = [
            replace(one, metadata={"part": parts[one.turns[0].content]}) for one in found[-1].examples
        ]
    return found


def measure(share: list[Answers], *, last: bool) -> dict[str, float]:
    """Measure a share of the batches; self-BLEU of none but the last, which one rank alone has."""
    metrics = [MatchedWords(), CorpusDistinct(), ProxyCalibration(samples=3), TextLength(), SelfBLEU(samples=3)]
    metrics += [BLEU(tokenize="none"), ChrF(), TokenF1()]
    measurements = Measurements(metrics)
    for number, batch in enumerate(share):
        # In another order on each rank: what is gathered does not depend on it.
        for metric in metrics if last else reversed(metrics):
            if not isinstance(metric, SelfBLEU) or (last and number == len(share) - 1):
                measurements.measure(metric, batch)
    found = {key: float(value) for key, value in measurements.flush("val").items()}
    assert measurements.flush("val") == {}
    assert measurements.state_dict() == {}
    return found


def main() -> None:
    output = Path(sys.argv[1])
    rank = int(os.environ["LOCAL_RANK"])
    distributed.init_process_group("gloo", (output.parent / "meeting").as_uri(), rank=rank, world_size=2)
    found = measure(batches()[:3] if rank == 0 else batches()[3:], last=rank == 1)
    said: list[dict[str, float] | None] = [None, None]
    distributed.all_gather_object(said, found)
    if rank == 0:
        output.write_text(json.dumps(said))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
