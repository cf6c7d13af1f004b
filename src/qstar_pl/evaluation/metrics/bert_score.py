"""BERTScore: how near the tokens of an answer are to those of its references, in an encoder's eyes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from qstar_pl.checks import at_least
from qstar_pl.errors import UserError
from qstar_pl.evaluation.metrics.by_reference import columns
from qstar_pl.evaluation.metrics.evidence import Answers
from qstar_pl.evaluation.metrics.metric import AnswerMetric
from qstar_pl.evaluation.metrics.needs import Need
from qstar_pl.evaluation.metrics.scores import Scores
from qstar_pl.models.encoder import Encoder

NAMES = ("bertscore_precision", "bertscore_recall", "bertscore_f1")


class BERTScore(AnswerMetric, nn.Module):
    """`bertscore_precision`, `bertscore_recall`, `bertscore_f1`: means over answers, of the best reference each.

    Precision is the mean, over the answer's tokens, of the cosine to the nearest token of the reference; recall is the
    same the other way round. See Zhang et al. 2020, section 3, without idf weights, https://arxiv.org/abs/1904.09675.
    """

    def __init__(
        self,
        model: str = "roberta-large",
        layer: int | None = None,
        revision: str | None = None,
        baseline: str | None = None,
        max_length: int = 512,
        batch_size: int = 64,
        expensive: bool = True,
    ) -> None:
        """Describe the metric; nothing is loaded yet.

        Args:
            model: hub id or folder of any model that transformers' AutoModel loads, with safetensors.
            layer: whose output is compared; 0 is that of the embeddings. null: the last one. The paper's authors chose
                17 for roberta-large, 9 for bert-base-uncased.
            revision: branch, tag or commit of a hub repository.
            baseline: file of the scores of unrelated sentences by layer, as bert-score has them (a line of names, then
                LAYER,P,R,F): scores are rescaled so that it becomes 0. null: cosines as they are.
            max_length: tokens of a text that are read, at least 3.
            batch_size: texts in one forward pass, at least 1.
            expensive: leave it out of the validations within `fit`.

        """
        super().__init__()
        at_least(1, batch_size=batch_size)
        at_least(3, max_length=max_length)
        self.model, self.layer, self.revision = model, layer, revision
        self.baseline = baseline
        self.max_length, self.batch_size, self.expensive = max_length, batch_size, expensive
        self.encoder: Encoder | None = None
        self._unrelated = torch.zeros(3, dtype=torch.float64)

    @property
    def needs(self) -> frozenset[Need]:
        """See `Metric.needs`."""
        return frozenset({Need.REFERENCES})

    def build(self, tokenizer: PreTrainedTokenizerBase | None) -> None:
        """See `Metric.build`.

        Raises:
            UserError: if the model or the baseline cannot be read, or has no such layer.

        """
        self.encoder = Encoder.load(self.model, self.revision, layer=self.layer, max_length=self.max_length)
        if self.baseline is not None:
            self._unrelated = torch.tensor(read_baseline(Path(self.baseline), self.encoder.layer), dtype=torch.float64)

    def models(self) -> list[nn.Module]:
        """See `Metric.models`."""
        return [] if self.encoder is None else [self.encoder]

    def scores(self, answers: Answers) -> Mapping[str, Scores]:
        """See `AnswerMetric.scores`."""
        if self.encoder is None:
            raise RuntimeError("BERTScore.build must be called before anything is scored")
        pairs = list(zip(answers.texts, answers.references, strict=True))
        # Each text is read once, also the reference that many answers share.
        read = list(dict.fromkeys(text for answer, references in pairs if references for text in (answer, *references)))
        embedded = dict(zip(read, self.encoder(read, self.batch_size), strict=True))
        best = [
            torch.stack([bert_score(embedded[answer], embedded[one]) for one in references]).amax(0)
            for answer, references in pairs
            if references
        ]
        # Brought to the CPU at once: a synchronization per row would make a GPU wait.
        found = iter(self._rescaled(torch.stack(best).cpu().double()).tolist() if best else [])
        return columns([next(found) if references else None for _, references in pairs], NAMES)

    def _rescaled(self, scores: Tensor) -> Tensor:
        return (scores - self._unrelated) / (1 - self._unrelated)


def bert_score(answer: Tensor, reference: Tensor) -> Tensor:
    """Return precision, recall and F1 [3] of two texts.

    Args:
        answer: [tokens, width], of length 1 each.
        reference: [tokens', width], of length 1 each; a side without tokens gives 0.

    """
    if not len(answer) or not len(reference):
        return answer.new_zeros(3)
    cosines = answer @ reference.T
    precision, recall = cosines.amax(1).mean(), cosines.amax(0).mean()
    total = precision + recall
    return torch.stack([precision, recall, torch.where(total == 0, total, 2 * precision * recall / total)])


def read_baseline(path: Path, layer: int) -> tuple[float, ...]:
    """Return the scores (precision, recall, F1) of unrelated sentences at a layer, from a file of bert-score's form.

    Raises:
        UserError: if there is no such file, or it does not have the layer.

    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()[1:]
        rows = {int(row[0]): tuple(float(number) for number in row[1:]) for row in (line.split(",") for line in lines)}
    except (OSError, ValueError) as error:
        raise UserError(f"baseline must be a file with lines LAYER,P,R,F, got {path}: {error}") from error
    if len(found := rows.get(layer, ())) != 3 or max(found) >= 1:
        got = found or f"no line of it in {path}"
        raise UserError(f"baseline must have three numbers below 1 for layer {layer}, got {got}")
    return found
