"""What is evaluated, and how: the options of `qstar evaluate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qstar_pl.checks import at_least
from qstar_pl.data import RLHFDataModule
from qstar_pl.data.adapters.adapter import RowSource
from qstar_pl.data.text.rendering import PlainRendering, TokenizerRendering
from qstar_pl.describing import described
from qstar_pl.errors import UserError, argument_called
from qstar_pl.evaluating.report.forming import Statistics
from qstar_pl.evaluating.sources import AnswerSource, source_of
from qstar_pl.evaluation.judges import Judge
from qstar_pl.evaluation.metrics import Metric
from qstar_pl.generation.data import GenerationData
from qstar_pl.generation.guide import ADAPTER_WORDS, PROMPT_FORMATS
from qstar_pl.generation.parts import adapter_of, model_source
from qstar_pl.generation.prompts import choose_source
from qstar_pl.generation.settings import GenerationSettings
from qstar_pl.models.from_checkpoint import FromCheckpoint
from qstar_pl.models.source import ModelSource
from qstar_pl.models.tiny import resolve
from qstar_pl.rewards.reward import Reward

OF_DATA = (
    "dataset",
    "dataset_split",
    "dataset_adapter",
    "prompt_field",
    "response_field",
    "prompt_format",
    "start_idx",
    "end_idx",
    "num_samples",
    "max_prompt_tokens",
    "max_left_out",
)
"""Words that `data` replaces."""


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """Answers to a data set's prompts, what they are compared with, and how both are measured."""

    answers: AnswerSource | str | None = None
    """What is evaluated: a model (a .ckpt of `qstar fit`, a folder, a hub id, tiny/policy), a file of answers, or
    "chosen" or "rejected", the data's own; or a class, which has options."""
    baseline: AnswerSource | str | None = None
    """What it is compared with, as `answers`; None: nothing."""
    dataset: str = "tiny"
    """"tiny", a .jsonl, .json, .csv, .tsv, .parquet or .arrow file, a folder of such, or a dataset's id on the hub."""
    dataset_split: str | None = None
    """Split of a dataset on the hub, or of the files in a folder."""
    dataset_adapter: str | None = None
    """What reads a row: auto, generic, deepscaler, the name of a class such as HHRLHF, or {"class_path": …,
    "init_args": …}; None: found from the columns."""
    prompt_field: str | None = None
    """Column of the prompt, in the data."""
    response_field: str | None = None
    """Column of the data's own answer, which metrics compare with."""
    prompt_format: str = "dialogue"
    """dialogue: the tokenizer's chat template, or HH-RLHF's form; raw: the prompt's text as it is."""
    start_idx: int = 0
    """First row of the dataset to evaluate."""
    end_idx: int | None = None
    """Row after the last one; None: to the end."""
    num_samples: int | None = None
    """Largest number of rows of the dataset, from `start_idx` on; None: all up to `end_idx`."""
    max_prompt_tokens: int = 512
    """Longer prompts lose their oldest turns, then tokens on the left, before a model answers."""
    max_left_out: float = 0.5
    """Largest share of the rows that may be left out because they cannot be read or used."""
    data: GenerationData | RLHFDataModule | None = None
    """Prompts and rendering instead of these words, with any adapter; every row of a data module of `fit` is used."""
    metrics: list[Metric] | None = None
    """What is measured; None: what the data call for (tests of programs with pass@k, final answers, or references)."""
    judge: Judge | None = None
    """Who says which of two answers is better; None: nobody."""
    reward: Reward | None = None
    """The reward that training maximizes, for metrics that read it; None: none."""
    gold: Reward | None = None
    """The true reward, for metrics that read it; None: none."""
    reference: ModelSource | str | None = None
    """π_init, for metrics that compare the model with it: as a model of `answers`; None: where a run's checkpoint
    started, of other models the baseline, if a model answers there."""
    max_completion_tokens: int = 512
    """Tokens after which the data's own answers are cut, for metrics that have the model read them; of a data module of
    `fit`, its own limit."""
    samples_per_prompt: int = 1
    """Number of answers that a model gives to each prompt."""
    batch_size: int = 8
    """Number of prompts that a model decodes together."""
    max_new_tokens: int = 128
    """Longest answer of a model in tokens, EOS included."""
    temperature: float = 1.0
    """Temperature at which a model answers."""
    top_k: int | None = None
    """Top-k truncation; None: none."""
    top_p: float | None = None
    """Top-p truncation; None: none."""
    seed: int = 0
    """Seed of the answers and of all resampling."""
    dtype: str = "float32"
    """Dtype of models' weights."""
    precision: str = "32-true"
    """Lightning's precision, e.g. bf16-mixed."""
    device: str = "cpu"
    """Kind of device: cpu, cuda or mps."""
    trust_remote_code: bool = False
    """Run Python code that comes with the models."""
    confidence: float = 0.95
    """Of all intervals."""
    resamples: int = 1999
    """Of bootstraps and permutations."""

    def __post_init__(self) -> None:
        if self.answers is None:
            raise UserError("answers must name a model, a file of answers, chosen or rejected, got nothing")
        if self.prompt_format not in PROMPT_FORMATS:
            raise UserError(f"prompt_format must be one of {', '.join(PROMPT_FORMATS)}, got {self.prompt_format!r}")
        for name in ("num_samples", "samples_per_prompt", "batch_size", "max_prompt_tokens", "max_new_tokens"):
            at_least(1, **{name: getattr(self, name)})
        at_least(1, max_completion_tokens=self.max_completion_tokens)
        at_least(0, start_idx=self.start_idx)
        if self.end_idx is not None and self.end_idx <= self.start_idx:
            raise UserError(f"end_idx must be greater than start_idx ({self.start_idx}), got {self.end_idx}")
        if self.metrics is not None and not self.metrics and self.judge is None:
            raise UserError("metrics must name at least one where no judge is given, got none")
        if self.judge is not None and self.baseline is None:
            raise UserError("baseline must be given where judge is, got none")
        if self.data is not None:
            defaults = type(self).__dataclass_fields__
            for word in OF_DATA:
                if getattr(self, word) != defaults[word].default:
                    raise UserError(
                        f"{word} must be left out where data is given, whose own options say it, got "
                        f"{getattr(self, word)!r}"
                    )
        self.how()  # checks the numbers
        self.sources()
        self.generation(None)

    def how(self) -> Statistics:
        """Return how statistics are formed."""
        return Statistics(self.confidence, self.resamples, self.seed)

    def sources(self) -> dict[str, AnswerSource]:
        """Return where answers, and if given those of the baseline, come from."""
        given = {"answers": self.answers, "baseline": self.baseline}
        return {
            name: source_of(source, name, self.dtype, self.trust_remote_code) if isinstance(source, str) else source
            for name, source in given.items()
            if source is not None
        }

    def prompts(self) -> GenerationData:
        """Return the data, as `qstar generate` reads them."""
        if self.data is not None:
            return GenerationData.of(self.data)
        ends = [self.end_idx, None if self.num_samples is None else self.start_idx + self.num_samples]
        adapter = None if self.dataset_adapter in ADAPTER_WORDS else adapter_of(self.dataset_adapter)
        if self.dataset_adapter == "deepscaler":
            adapter = choose_source(self.dataset, self.prompt_field, self.response_field, deepscaler=True)
        return GenerationData(
            self.dataset,
            adapter,
            self.dataset_split,
            self.prompt_field,
            self.response_field,
            PlainRendering() if self.prompt_format == "raw" else TokenizerRendering(),
            start_idx=self.start_idx,
            end_idx=min((end for end in ends if end is not None), default=None),
            batch_size=self.batch_size,
            max_prompt_tokens=self.max_prompt_tokens,
            max_left_out=self.max_left_out,
        )

    @property
    def longest_given(self) -> int:
        """Longest answer of the data that a model reads, in tokens, EOS included."""
        if self.data is None or isinstance(self.data, GenerationData):
            return self.max_completion_tokens
        return self.data.max_completion_tokens

    def reference_source(self) -> ModelSource | None:
        """Return what `reference` names, or where the checkpoint that answers started; None: neither."""
        if isinstance(self.reference, str):
            resolve(self.reference, "reference")
            return model_source(self.reference, self.dtype, self.trust_remote_code)
        model = self.sources()["answers"].model
        if self.reference is None and isinstance(model, FromCheckpoint):
            with argument_called("answers", inside="path"):
                return model.source()
        return self.reference

    def generation(
        self, model: ModelSource | None, adapter: RowSource | None = None, *, tokens: bool = False
    ) -> GenerationSettings:
        """Return the settings with which a model answers.

        Args:
            model: None checks the numbers alone.
            adapter: that of the data, once it is found.
            tokens: whether the numbers of every token are kept.

        """
        policy: dict[str, Any] = {"model_theta": "tiny/policy"} if model is None else {"policy": model}
        names = ("samples_per_prompt", "max_new_tokens", "temperature", "top_k", "top_p", "seed", "precision", "device")
        return GenerationSettings(
            **policy,
            data=_fresh(self.prompts(), adapter),
            save_diagnostics="tokens" if tokens else "rows",
            **{name: getattr(self, name) for name in names},
        )

    def as_dict(self) -> dict[str, Any]:
        """Return what decides the answers as plain values, by which an evaluation in the same folder is compared."""
        sources = {name: described(source) for name, source in self.sources().items()}
        of_data = {f"data.{name}": value for name, value in self.prompts().settings().items()}
        names = ("samples_per_prompt", "max_new_tokens", "temperature", "top_k", "top_p", "seed", "precision", "device")
        return {**sources, **of_data, **{name: getattr(self, name) for name in names}}


def _fresh(data: GenerationData, adapter: RowSource | None) -> GenerationData:
    """Return the same prompts in an object that has read nothing: models read them in tokens of their own."""
    return GenerationData(
        data.path,
        data.adapter if adapter is None else adapter,
        data.split,
        data.prompt_field,
        data.response_field,
        data.rendering,
        data.tokenizer,
        data.start_idx,
        data.end_idx,
        data.batch_size,
        data.max_prompt_tokens,
        data.max_left_out,
        data.system_prompt,
    )
