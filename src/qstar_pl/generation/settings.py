"""What decides the bytes of a generated dataset, as strategies or in the words of the reference guide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from qstar_pl.checks import at_least, within
from qstar_pl.data import RLHFDataModule
from qstar_pl.describing import described
from qstar_pl.errors import UserError
from qstar_pl.generation.data import GenerationData
from qstar_pl.generation.guide import ADAPTER_WORDS, DEFAULT_ALPHA, DIAGNOSTICS, PROMPT_FORMATS, canonical_method
from qstar_pl.models.configure import DTYPES
from qstar_pl.models.source import ModelSource
from qstar_pl.samplers import PolicySampler, Sampler
from qstar_pl.targets.target import Target

OF_SAMPLERS: Mapping[str, Any] = {"max_new_tokens": 128, "temperature": 1.0, "top_k": None, "top_p": None}
"""Options that every sampler has → their defaults if no sampler is given."""
OF_MODELS = ("dtype", "trust_remote_code")
"""Options of models that are given by name."""
ONLY_IF_ON = ("trust_remote_code", "refill")
"""Options that are stored if they are on, so that runs of versions without them go on."""
REPLACED: Mapping[str, tuple[str, ...]] = {
    "policy": ("model_theta",),
    "target": ("model_t", "prompt_template_t"),
    "sampler": ("alpha_method", "fixed_alpha"),
    "data": (
        "dataset",
        "dataset_split",
        "dataset_adapter",
        "prompt_field",
        "response_field",
        "prompt_format",
        "start_idx",
        "end_idx",
        "num_samples",
        "batch_size",
        "max_prompt_tokens",
        "max_left_out",
    ),
}
"""Strategy → the words that it replaces."""


@dataclass(frozen=True, kw_only=True)
class GenerationSettings:
    """What decides the rows of a generated dataset.

    Two runs with equal settings (and data, and weights) give the same rows, on any number of processes. Models, sampler
    and data may be given as strategies, or in the guide's words, from which `generation.parts` builds strategies; each
    may be given in one way only.

    The number of devices and the distributed strategy are not settings. The kind of device, the precision and the batch
    size are: they change how sums are rounded, and so, once in many tokens, a token.
    """

    model_theta: str | None = None
    """π_θ (or as `policy`): hub id, local folder, a .ckpt of `qstar fit`, or tiny/policy."""
    model_t: str | None = None
    """π_t, as `model_theta`; None samples π_θ alone."""
    prompt_template_t: str | None = None
    """What π_t reads instead of π_θ's prompt: a text with {prompt} in it, or a chat template in Jinja."""
    alpha_method: str | None = None
    """How the exponent of π_θ is chosen at every token: fixed, entropy, kl_symmetric, ess_balance or snr; None:
    kl_symmetric if there is a π_t."""
    fixed_alpha: float | None = None
    """α of the method "fixed", only; None: 0.5."""
    dataset: str = "tiny"
    """"tiny", a .jsonl, .json, .csv, .tsv, .parquet or .arrow file, a folder of such, or a dataset's id on the hub."""
    dataset_split: str | None = None
    """Split of a dataset on the hub, or of the files in a folder."""
    dataset_adapter: str | None = None
    """What reads a row: auto, generic, deepscaler, the name of a class such as HHRLHF, or {"class_path": …,
    "init_args": …}; None: found from the columns."""
    prompt_field: str | None = None
    """Column of the prompt."""
    response_field: str | None = None
    """Column of the dataset's answer, given if rows without an answer are to be left out."""
    prompt_format: str = "dialogue"
    """dialogue: the tokenizer's chat template, or HH-RLHF's form; raw: the prompt's text as it is."""
    start_idx: int = 0
    """First row of the dataset to answer."""
    end_idx: int | None = None
    """Row after the last one; None: to the end."""
    num_samples: int | None = None
    """Largest number of rows of the dataset to answer, from `start_idx` on; None: all up to `end_idx`."""
    samples_per_prompt: int = 1
    """Number of answers to each prompt."""
    batch_size: int = 8
    """Number of prompts decoded together; each has `samples_per_prompt` answers."""
    refill: bool = False
    """Answers that end make room for the next prompts, instead of waiting for the longest of their batch: faster where
    answers are of many lengths."""
    max_prompt_tokens: int = 512
    """Longer prompts lose their oldest turns, then tokens on the left."""
    max_left_out: float = 0.5
    """Largest share of the rows that may be left out because they cannot be read or used."""
    max_new_tokens: int | None = None
    """Longest answer in tokens, EOS included; None: what `sampler` says, 128 without one."""
    temperature: float | None = None
    """Temperature of q; None: what `sampler` says, 1 without one."""
    top_k: int | None = None
    """Top-k truncation of q; None: what `sampler` says, none without one."""
    top_p: float | None = None
    """Top-p truncation of q; None: what `sampler` says, none without one."""
    seed: int = 0
    """Seed of all answers."""
    dtype: str = "float32"
    """Dtype of both models' weights."""
    precision: str = "32-true"
    """Lightning's precision, e.g. bf16-mixed."""
    device: str = "cpu"
    """Kind of device: cpu, cuda or mps."""
    trust_remote_code: bool = False
    """Run Python code that comes with the models."""
    save_diagnostics: str = "rows"
    """none, rows (a line per answer) or tokens (also a parquet file with a row per token)."""
    policy: ModelSource | None = None
    """π_θ, any source of models."""
    target: Target | None = None
    """π_t, any target; None: an `Expert` if `model_t` is given."""
    sampler: Sampler | None = None
    """q, any sampler; None: the geometric mixture if there is a π_t, else π_θ alone."""
    data: GenerationData | RLHFDataModule | None = None
    """Prompts, batches and rendering, with any adapter; of a data module of `fit`, every row is answered."""

    def __post_init__(self) -> None:
        for name, choices in (
            ("dtype", tuple(DTYPES)),
            ("prompt_format", PROMPT_FORMATS),
            ("save_diagnostics", DIAGNOSTICS),
        ):
            if getattr(self, name) not in choices:
                raise UserError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")
        self._check_said_once()
        if self.data is not None:
            GenerationData.of(self.data)  # raises for options that have no meaning here
        if not self.model_theta and self.policy is None:
            raise UserError("model_theta must name a model (or policy say where it comes from), got nothing")
        if not self.dataset:
            raise UserError("dataset must name a file, a folder or a hub id, got nothing")
        for name in ("num_samples", "samples_per_prompt", "batch_size", "max_prompt_tokens"):
            at_least(1, **{name: getattr(self, name)})
        at_least(0, start_idx=self.start_idx)
        if self.end_idx is not None and self.end_idx <= self.start_idx:
            raise UserError(f"end_idx must be greater than start_idx ({self.start_idx}), got {self.end_idx}")
        if self.prompt_template_t is not None and self.model_t is None and self.target is None:
            raise UserError("model_t must be given where prompt_template_t is")
        if self.response_field is not None and self.prompt_field is None and self.dataset_adapter != "deepscaler":
            raise UserError("prompt_field must be given where response_field is")
        if self.dataset_adapter not in (None, *ADAPTER_WORDS) and self.prompt_field is not None:
            raise UserError(
                f"prompt_field must be left out beside the class {self.dataset_adapter}, which names its columns; it "
                f"goes with dataset_adapter {' or '.join(ADAPTER_WORDS)}"
            )
        self._settle_alpha()
        self._settle_sampler()

    def _check_said_once(self) -> None:
        """Raise UserError for a word next to the strategy that replaces it: it would have no effect."""
        defaults = {one.name: one.default for one in fields(self)}
        replaced = [(strategy, word) for strategy, words in REPLACED.items() for word in words]
        # Both models are given as strategies, which have a dtype of their own.
        if self.model_theta is None and self.model_t is None:
            replaced += [("policy", word) for word in OF_MODELS]
        for strategy, word in replaced:
            if getattr(self, strategy) is not None and getattr(self, word) != defaults[word]:
                raise UserError(
                    f"{word} must be left out where {strategy} is given, whose own options say it, got "
                    f"{getattr(self, word)!r}"
                )

    def _settle_alpha(self) -> None:
        """Fill in the defaults of α, so that a run that spells them out is equal to one that does not.

        Raises:
            UserError: for an option that would have no effect.

        """
        if self.sampler is not None:
            return
        if not self.has_target:
            for name in ("alpha_method", "fixed_alpha"):
                if getattr(self, name) is not None:
                    raise UserError(
                        f"model_t must be given where {name} is: without π_t there is no mixture; got "
                        f"{name}={getattr(self, name)} and no model_t"
                    )
            return
        method = canonical_method(self.alpha_method or DEFAULT_ALPHA)
        if self.fixed_alpha is not None and method != "fixed":
            said = "" if self.alpha_method else ", the default"
            raise UserError(f"alpha_method must be fixed where fixed_alpha is given, got {method}{said}")
        within("[0, 1]", fixed_alpha=self.fixed_alpha)
        # The dataclass is frozen; this is its own initialization.
        object.__setattr__(self, "alpha_method", method)
        if method == "fixed" and self.fixed_alpha is None:
            object.__setattr__(self, "fixed_alpha", 0.5)

    def _settle_sampler(self) -> None:
        """Write the options of samplers into the given one, or their defaults into the settings if there is none."""
        if self.sampler is not None:
            said = {name: getattr(self, name) for name in OF_SAMPLERS if getattr(self, name) is not None}
            object.__setattr__(self, "sampler", replace(self.sampler, **said))
        for name, default in OF_SAMPLERS.items():
            value = getattr(self, name) if self.sampler is None else getattr(self.sampler, name)
            object.__setattr__(self, name, default if value is None else value)
        PolicySampler(**{name: getattr(self, name) for name in OF_SAMPLERS})  # checks the numbers

    @property
    def has_target(self) -> bool:
        """Whether there is a π_t."""
        return self.model_t is not None or self.target is not None

    @property
    def last_row(self) -> int | None:
        """Row after the last one to answer: `end_idx` or `start_idx` + `num_samples`, whichever is smaller."""
        ends = [self.end_idx, None if self.num_samples is None else self.start_idx + self.num_samples]
        return min((end for end in ends if end is not None), default=None)

    @property
    def notices(self) -> list[str]:
        """Notes on settings that a user may have meant differently, one line each."""
        found = []
        if self.num_samples is not None and self.end_idx not in (None, self.start_idx + self.num_samples):
            found.append(
                f"num_samples counts rows: rows {self.start_idx} to {(self.last_row or 0) - 1} are answered, "
                f"{self.samples_per_prompt} times each. Answers to each prompt are --samples_per_prompt"
            )
        if self.has_target and (self.top_k is not None or self.top_p not in (None, 1.0)):
            found.append(
                "top_k and top_p take tokens from q that both models have: ESS_θ/ESS_t is undefined there (0/0)"
            )
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, by which a run in the same place is compared."""
        strategies = {name: value for name in REPLACED if (value := getattr(self, name)) is not None}
        absent = {*REPLACED, *(word for name in strategies for word in REPLACED[name])}
        absent |= {name for name in ONLY_IF_ON if not getattr(self, name)}
        words = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in absent}
        described_data = {} if self.data is None else GenerationData.of(self.data).settings()
        of_data = {f"data.{name}": value for name, value in described_data.items()}
        return words | {name: described(value) for name, value in strategies.items() if name != "data"} | of_data
