"""What decides the bytes of a generated data set, in the words of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from qstar_pl.data.text.rendering import PlainRendering, Rendering, TokenizerRendering
from qstar_pl.errors import UserError
from qstar_pl.models.configure import DTYPES
from qstar_pl.qstar import (
    AlphaStrategy,
    EntropyAlpha,
    ESSBalanceAlpha,
    FixedAlpha,
    KLSymmetricAlpha,
    SNRAlpha,
)
from qstar_pl.samplers import GeometricSampler, PolicySampler, Sampler

ALPHA_METHODS: Mapping[str, type[AlphaStrategy]] = {
    "fixed": FixedAlpha,
    "entropy": EntropyAlpha,
    "kl_symmetric": KLSymmetricAlpha,
    "ess_balance": ESSBalanceAlpha,
    "snr": SNRAlpha,
}
"""The values of --alpha_method."""
ALPHA_ALIASES: Mapping[str, str] = {"kl_symmetry": "kl_symmetric"}
"""Other words for them."""
DEFAULT_ALPHA = "kl_symmetric"
PROMPT_FORMATS = ("dialogue", "raw")
DIAGNOSTICS = ("none", "rows", "tokens")
ADAPTER_WORDS = ("auto", "generic", "deepscaler")
"""Values of --dataset_adapter beside the names of classes; see `generation.prompts.choose_source`."""


def alpha_strategy(method: str, fixed_alpha: float = 0.5) -> AlphaStrategy:
    """Return the strategy behind a name of `ALPHA_METHODS` or `ALPHA_ALIASES`; raises UserError for another name."""
    kind = ALPHA_METHODS[canonical_method(method)]
    return kind(value=fixed_alpha) if kind is FixedAlpha else kind()


def canonical_method(method: str) -> str:
    """Return the name in `ALPHA_METHODS` of a method; raises UserError where there is none."""
    name = ALPHA_ALIASES.get(method, method)
    if name not in ALPHA_METHODS:
        raise UserError(f"alpha_method must be one of {', '.join(ALPHA_METHODS)}, got {method!r}")
    return name


@dataclass(frozen=True, kw_only=True)
class GenerationSettings:
    """Two runs with equal settings (and data, and weights) give the same rows, on however many processes.

    How many devices work, under which strategy, is no setting. The device's kind, the precision and the batch size
    are: they change how sums are rounded, and so, once in many tokens, a token.
    """

    model_theta: str
    """π_θ: hub id, local folder, a .ckpt of `qstar fit`, or tiny/policy."""
    model_t: str | None = None
    """π_t, as `model_theta`; None samples π_θ alone."""
    prompt_template_t: str | None = None
    """What π_t reads instead of π_θ's prompt: a text with {prompt} in it, or a chat template in Jinja."""
    alpha_method: str | None = None
    """How the exponent of π_θ is chosen at every token, one of `ALPHA_METHODS`; None: kl_symmetric with `model_t`, and
    nothing to choose without."""
    fixed_alpha: float | None = None
    """α of the method "fixed", and of it alone; None: 0.5."""
    dataset: str = "tiny"
    """"tiny", a .jsonl, .json, .csv, .tsv, .parquet or .arrow file, a folder of such, or a data set's id on the hub."""
    dataset_split: str | None = None
    """Split on the hub, or of the files of a folder."""
    dataset_adapter: str | None = None
    """What reads a row: a word of `ADAPTER_WORDS`, the name of a class, or {"class_path": …, "init_args": …}; None:
    found from the columns."""
    prompt_field: str | None = None
    """Column of the prompt."""
    response_field: str | None = None
    """Column of the answer that the data set has, if rows without one are to be left out."""
    prompt_format: str = "dialogue"
    """dialogue: the tokenizer's chat template, or HH-RLHF's form; raw: the prompt's text as it stands."""
    start_idx: int = 0
    """First row of the data set."""
    end_idx: int | None = None
    """Row behind the last one; None: to the end."""
    num_samples: int | None = None
    """Most rows of the data set that are answered, from `start_idx` on; None: all up to `end_idx`."""
    samples_per_prompt: int = 1
    """Answers to each prompt."""
    batch_size: int = 8
    """Prompts decoded together; each has `samples_per_prompt` answers."""
    max_prompt_tokens: int = 512
    """Longer prompts lose their oldest turns, then tokens on the left."""
    max_left_out: float = 0.5
    """Largest share of the rows that may be left out because they cannot be read or used."""
    max_new_tokens: int = 128
    """Longest answer in tokens, EOS included."""
    temperature: float = 1.0
    """Of q."""
    top_k: int | None = None
    """Of q."""
    top_p: float | None = None
    """Of q."""
    seed: int = 0
    """Of all answers."""
    dtype: str = "float32"
    """Of both models' weights."""
    precision: str = "32-true"
    """Lightning's precision, e.g. bf16-mixed."""
    device: str = "cpu"
    """Kind of device: cpu, cuda or mps."""
    trust_remote_code: bool = False
    """Run Python code that comes with the models."""
    save_diagnostics: str = "rows"
    """none, rows (a line per answer) or tokens (also a parquet file with a row per token)."""

    def __post_init__(self) -> None:
        for name, choices in (
            ("dtype", tuple(DTYPES)),
            ("prompt_format", PROMPT_FORMATS),
            ("save_diagnostics", DIAGNOSTICS),
        ):
            if getattr(self, name) not in choices:
                raise UserError(f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}")
        for name, what in (("model_theta", "a model"), ("dataset", "a file, a folder or a hub id")):
            if not getattr(self, name):
                raise UserError(f"{name} must name {what}, got nothing")
        for name in ("num_samples", "samples_per_prompt", "batch_size", "max_prompt_tokens"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.start_idx < 0:
            raise UserError(f"start_idx must be at least 0, got {self.start_idx}")
        if self.end_idx is not None and self.end_idx <= self.start_idx:
            raise UserError(f"end_idx must be greater than start_idx ({self.start_idx}), got {self.end_idx}")
        if self.prompt_template_t is not None and self.model_t is None:
            raise UserError("model_t must be given where prompt_template_t is")
        if self.response_field is not None and self.prompt_field is None and self.dataset_adapter != "deepscaler":
            raise UserError("prompt_field must be given where response_field is")
        if self.dataset_adapter not in (None, *ADAPTER_WORDS) and self.prompt_field is not None:
            raise UserError(
                f"prompt_field must be left out beside the class {self.dataset_adapter}, which names its columns; it "
                f"goes with dataset_adapter {' or '.join(ADAPTER_WORDS)}"
            )
        self._settle_alpha()
        self.sampler()

    def _settle_alpha(self) -> None:
        """Put the defaults of α in, so that runs that said them and runs that did not are the same.

        Raises:
            UserError: for an option that would have no effect.

        """
        if self.model_t is None:
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
        if self.fixed_alpha is not None and not 0 <= self.fixed_alpha <= 1:
            raise UserError(f"fixed_alpha must lie in [0, 1], got {self.fixed_alpha}")
        object.__setattr__(self, "alpha_method", method)
        if method == "fixed" and self.fixed_alpha is None:
            object.__setattr__(self, "fixed_alpha", 0.5)

    @property
    def last_row(self) -> int | None:
        """Row behind the last one that is answered: `end_idx` or `start_idx` + `num_samples`, whichever comes first."""
        ends = [self.end_idx, None if self.num_samples is None else self.start_idx + self.num_samples]
        return min((end for end in ends if end is not None), default=None)

    @property
    def notices(self) -> list[str]:
        """What a user may have meant otherwise, a line each."""
        found = []
        if self.num_samples is not None and self.end_idx not in (None, self.start_idx + self.num_samples):
            found.append(
                f"num_samples counts rows: rows {self.start_idx} to {(self.last_row or 0) - 1} are answered, "
                f"{self.samples_per_prompt} times each. Answers to each prompt are --samples_per_prompt"
            )
        if self.model_t is not None and (self.top_k is not None or self.top_p not in (None, 1.0)):
            found.append(
                "top_k and top_p take tokens from q that both models have: ESS_θ/ESS_t is undefined there (0/0)"
            )
        return found

    def sampler(self) -> Sampler:
        """Return q."""
        options: dict[str, Any] = {
            "max_new_tokens": self.max_new_tokens,
            "temperature": self.temperature,
            "top_k": self.top_k,
            "top_p": self.top_p,
        }
        if self.model_t is None:
            return PolicySampler(**options)
        alpha = alpha_strategy(
            self.alpha_method or DEFAULT_ALPHA, 0.5 if self.fixed_alpha is None else self.fixed_alpha
        )
        return GeometricSampler(alpha=alpha, **options)

    def rendering(self) -> Rendering:
        """Return how dialogues become text."""
        return PlainRendering() if self.prompt_format == "raw" else TokenizerRendering()

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON has them."""
        return {name: value for name, value in asdict(self).items() if name != "trust_remote_code" or value}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return e.g. "temperature 1.0 before, 0.7 now", one text per setting that differs."""
    absent = object()
    changed = [name for name in dict.fromkeys([*before, *now]) if before.get(name, absent) != now.get(name, absent)]
    return [f"{name} {before.get(name)!r} before, {now.get(name)!r} now" for name in changed]
