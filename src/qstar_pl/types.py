"""What passes between the stages: frozen dataclasses whose shapes, units and masks are stated once, here.

Every mask is bool and True means "counts". Log-probabilities are in nats. Prompts are padded on the left,
completions on the right, so that a sequence is `cat([prompt, completion], dim=1)` without a gap in between.

Each stage of a training step wraps the one before, so that no field is ever "not there yet":
`PromptBatch` → `Rollout` → `ScoredRollout` → `WeightedRollout` → `RolloutReport`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from torch import Tensor


def _map(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    from torch import Tensor  # here, since whoever only reads data has no tensors

    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, TensorFields):
        return value.map_tensors(function)
    if isinstance(value, Mapping) and any(isinstance(item, Tensor) for item in value.values()):
        return {key: _map(item, function) for key, item in value.items()}
    return value  # no tensors in it: examples, counts, how it was drawn


@dataclass(frozen=True)
class TensorFields:
    """A frozen dataclass whose tensors move together: Lightning moves a batch by its method `.to(device)`."""

    def map_tensors(self, function: Callable[[Tensor], Tensor]) -> Self:
        """Return a copy in which `function` was applied to each tensor, also inside nested fields."""
        return replace(self, **{f.name: _map(getattr(self, f.name), function) for f in fields(self)})

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Return a copy whose tensors are moved as by `Tensor.to`."""
        return self.map_tensors(lambda tensor: tensor.to(*args, **kwargs))

    def pin_memory(self) -> Self:
        """Return a copy in page-locked memory, for DataLoader(pin_memory=True)."""
        return self.map_tensors(lambda tensor: tensor.pin_memory())

    def detach(self) -> Self:
        """Return a copy cut from the autograd graph."""
        return self.map_tensors(lambda tensor: tensor.detach())


@dataclass(frozen=True)
class Turn:
    """One message of a dialogue."""

    role: str
    """"system", "user" or "assistant"."""
    content: str


@dataclass(frozen=True)
class Example:
    """One row of a dataset in the project's own form, whatever file it came from."""

    key: int
    """Non-negative 63-bit hash of the prompt's text: splits and row seeds depend on it, never on file order."""
    turns: tuple[Turn, ...]
    """The prompt; the last turn is the user's."""
    chosen: str | None = None
    """The preferred answer, or the demonstration."""
    rejected: str | None = None
    """The answer that lost; None where the dataset has no comparisons."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What only a reward needs: task, tests, entry point, gold facts, source file and line."""

    @property
    def part(self) -> str | None:
        """The part of a mixture that it belongs to; None where the data are a single dataset."""
        part = self.metadata.get("part")
        return None if part is None else str(part)


@dataclass(frozen=True)
class PromptBatch(TensorFields):
    """Prompts, padded on the left."""

    prompt_ids: Tensor
    """[prompts, plen] int64."""
    prompt_mask: Tensor
    """[prompts, plen] bool; the Trues of a row are its last ones."""
    keys: Tensor
    """[prompts] int64, `Example.key`."""
    examples: tuple[Example, ...]

    def __len__(self) -> int:
        return int(self.prompt_ids.shape[0])


@dataclass(frozen=True)
class AnsweredPrompts:
    """What a validation batch of prompts was answered, one answer each: `answers` of a `validation_step`'s output."""

    examples: Sequence[Example]
    texts: Sequence[str]
    """Decoded, without special tokens."""
    tokens: Tensor
    """[prompts] int64: how many each answer has, its end included."""
    rewards: Mapping[str, Tensor]
    """Judge ("gold", "proxy") → [prompts]; only what a metric has asked for, NaN where the judge does not know."""


@dataclass(frozen=True)
class DemonstrationBatch(TensorFields):
    """Prompts with one answer each, padded on the right and ended by EOS."""

    prompts: PromptBatch
    completion_ids: Tensor
    """[prompts, time] int64."""
    completion_mask: Tensor
    """[prompts, time] bool; EOS counts, pads do not."""

    def __len__(self) -> int:
        return len(self.prompts)


@dataclass(frozen=True)
class PreferenceBatch(TensorFields):
    """Prompts with the preferred and the other answer, each padded on the right and ended by EOS."""

    prompts: PromptBatch
    chosen_ids: Tensor
    """[prompts, time_c] int64."""
    chosen_mask: Tensor
    """[prompts, time_c] bool."""
    rejected_ids: Tensor
    """[prompts, time_r] int64."""
    rejected_mask: Tensor
    """[prompts, time_r] bool."""

    def __len__(self) -> int:
        return len(self.prompts)


@dataclass(frozen=True)
class Drafting:
    """What speculative decoding did for one rollout, and how long it took on this process."""

    tested: tuple[int, ...]
    """By place in the block: drafted tokens that q was asked about, all before them having been accepted."""
    accepted: tuple[int, ...]
    """By place in the block: those of them that were kept."""
    emitted: int
    """Tokens of all answers, EOS included; what an EOS or max_new_tokens cut off does not count."""
    calls: Mapping[str, int]
    """Forward passes by model (policy, target, drafter), those over the prompts left out."""
    seconds: Mapping[str, float]
    """Of the loop: "draft" (models that propose, and drawing from them), "verify" (models that read what was proposed)
    and "total"."""
    predicted: float | None
    """Speed-up over plain decoding by the cost model, from the acceptance seen; None: not enough was measured."""
    measured: float | None
    """Seconds that plain decoding would have taken, from plain rollouts or single-token passes that were timed, over
    `seconds["total"]`; None: none was timed."""


@dataclass(frozen=True)
class KeptSets(TensorFields):
    """The tokens that top-k and top-p left over, at every position that was drawn from fewer than all of them."""

    ids: Tensor
    """[n] int64: the kept ids of one position after the other, row by row."""
    counts: Tensor
    """[rows, time] int64: how many of `ids` belong to each position; 0 where nothing was cut."""

    def mask_at(self, rows: Tensor, times: Tensor, vocab: int) -> Tensor:
        """Return which tokens were kept at n positions, [n, vocab] bool, all where nothing was cut.

        Args:
            rows: [n] int64.
            times: [n] int64.
            vocab: size of the vocabulary.

        """
        import torch

        counts = self.counts.flatten()
        ends = counts.cumsum(0)
        place = rows * self.counts.shape[1] + times
        count = counts[place]
        of_position = torch.arange(len(place), device=count.device).repeat_interleave(count)
        # Their places in `ids`: each position's first one, and on from there.
        first = ends[place] - count
        within = torch.arange(len(of_position), device=count.device) - (count.cumsum(0) - count)[of_position]
        kept_mask = (count == 0).unsqueeze(-1).repeat(1, vocab)
        kept_mask[of_position, self.ids[first[of_position] + within]] = True
        return kept_mask


@dataclass(frozen=True)
class EngineReport(TensorFields):
    """What an engine with weights of its own did for one rollout."""

    fingerprint: str
    """Of the weights that it drew from, as `value_fingerprint` makes it, read from the engine."""
    step: int
    """Optimizer steps that had been taken at the draw."""
    push_seconds: float
    """Fingerprints and push together; of the first draw also the engine's start."""
    draw_seconds: float
    columns: Mapping[str, Tensor]
    """[rows, time] each: what the engine itself said of its tokens beside log q, by the names of `Rollout`'s fields."""


@dataclass(frozen=True)
class SamplerInfo(TensorFields):
    """How a rollout was drawn."""

    exact: bool
    """The tokens follow `behavior_logprobs` exactly (up to rounding)."""
    seed: int
    """Of the draw; every row's generator is derived from it."""
    drafted: int = 0
    """Tokens proposed by a drafter (speculative samplers)."""
    accepted: int = 0
    """Drafted tokens that were kept."""
    drafting: Drafting | None = None
    """What drafting did and took; None where nothing was drafted."""
    answers_per_set: int = 1
    """Answers of a prompt, side by side, that share a candidate set; 1: each was drawn independently of the others."""
    engine: EngineReport | None = None
    """What an engine beside the trainer did; None: the trainer's own models drew."""
    discarded: int = 0
    """Tokens drawn for answers that did not become any of the rollout's (tries that died, pilots)."""
    staleness_steps: int | None = None
    """Optimizer steps that were taken between the weights that drew the answers and the use of them; None: the weights
    at hand drew them."""
    kept: KeptSets | None = None
    """What top-k and top-p left over, where others drew the tokens and recorded it."""
    facts: Mapping[str, Tensor] = field(default_factory=dict)
    """[rows] int64 each: what else the sampler knows of an answer, by the name under which records carry it."""


@dataclass(frozen=True)
class Rollout(TensorFields):
    """Sampled answers with exact log-probabilities; `rows` = prompts × samples, rows of one prompt adjacent.

    At positions where `completion_mask` is False every float field is 0 and no reader may use it.
    """

    prompts: PromptBatch
    prompt_index: Tensor
    """[rows] int64: the row of `prompts` that each answer belongs to."""
    completion_ids: Tensor
    """[rows, time] int64."""
    completion_mask: Tensor
    """[rows, time] bool: sampled tokens, EOS included."""
    ended_mask: Tensor
    """[rows] bool: the answer ended with EOS (False: cut at max_new_tokens)."""
    behavior_logprobs: Tensor
    """[rows, time]: log q(y_t), after temperature, top-k and top-p: the law the token was drawn from."""
    policy_logprobs: Tensor
    """[rows, time]: log π_θ(y_t) of the untempered, untruncated policy."""
    target_logprobs: Tensor
    """[rows, time]: log π_t(y_t)."""
    alpha: Tensor
    """[rows, time]: exponent of π_θ in the mixture (1: the policy itself, 0: the target)."""
    log_z: Tensor
    """[rows, time]: log Z_α of the mixture (≤ 0; −log_z at the KL-symmetric α is the Chernoff information)."""
    ess_policy: Tensor
    """[rows, time]: per-token ESS_θ = 1/Σ_y π_θ(y)²/q(y) over the vocabulary, in (0, 1]."""
    ess_target: Tensor
    """[rows, time]: per-token ESS_t = 1/Σ_y π_t(y)²/q(y)."""
    kl_behavior_policy: Tensor
    """[rows, time]: D(q‖π_θ), exact over the vocabulary."""
    kl_behavior_target: Tensor
    """[rows, time]: D(q‖π_t)."""
    uncovered_mass: Tensor
    """[rows, time]: Σ π_θ(y) over tokens with q(y) = 0; 0 unless the sampler truncates."""
    info: SamplerInfo
    recomputed_logprobs: Tensor | None = None
    """[rows, time]: log q(y_t) by the models that train, where others drew the tokens (an inference engine, the policy
    of earlier steps) and `behavior_logprobs` is what those report; None where the two are one."""

    def __len__(self) -> int:
        return int(self.completion_ids.shape[0])

    @property
    def set_index(self) -> Tensor:
        """[rows] int64: answers with the same number are not independent of each other, given the prompt."""
        # The number of the prompt's first row, plus that of the row's set within the prompt.
        import torch

        rows = torch.arange(len(self), device=self.prompt_index.device)
        samples = max(1, len(self) // max(1, len(self.prompts)))
        return rows // samples * samples + rows % samples // self.info.answers_per_set


@dataclass(frozen=True)
class ScoredRollout(TensorFields):
    """A rollout with its rewards."""

    rollout: Rollout
    rewards: Tensor
    """[rows]: what the method maximizes."""
    components: Mapping[str, Tensor]
    """[rows] each, for the logs: "proxy", "gold", …"""


@dataclass(frozen=True)
class WeightedRollout(TensorFields):
    """A scored rollout with what enters the loss."""

    scored: ScoredRollout
    log_weights: Tensor
    """[rows, time]: raw log π_θ(y_t)/q(y_t), untreated; diagnostics read these."""
    weights: Tensor
    """[rows, time]: treated weights; constant along a row at sequence level."""
    clipping: Tensor
    """[rows, time]: −1 where a bound raised the weight, 1 where one lowered it, else 0."""
    advantages: Tensor
    """[rows, time]."""


@dataclass(frozen=True)
class LossReport:
    """A loss with the parts it is made of."""

    loss: Tensor
    """[] with gradient."""
    terms: Mapping[str, Tensor]
    """[] each, detached; logged as `loss/<name>`."""


@dataclass(frozen=True)
class StepReport(TensorFields):
    """What one micro-step tells the callbacks; detached here, since Lightning only detaches "loss".

    `samples`, `tokens` and `generated` are the budget, counted alike in every method: what was consumed, what was
    learned from, what was sampled. A sampled answer that no loss sees is in `samples` and `generated` only; four
    epochs over one rollout are four times its tokens, once its samples. Speculative drafts are in `SamplerInfo`.
    """

    loss: Tensor
    """[]: mean over the micro-batch."""
    terms: Mapping[str, Tensor]
    """[] each: means over the micro-batch."""
    samples: int
    """Answers that the step drew (kept or not), or pairs or demonstrations that it read, each once; on this rank."""
    tokens: int
    """Completion tokens that passed through the loss, once per pass (both answers of a pair); on this rank."""
    histograms: Mapping[str, Tensor] = field(default_factory=dict)
    """1-D each: per-row quantities that are worth more than a mean (margins, learned β)."""
    counts: Mapping[str, Tensor] = field(default_factory=dict)
    """[] of some terms: how many tokens, pairs or answers the mean is over, so that the mean over all of them can be
    formed whatever the micro-batches held. A term without one counts as 1 per micro-batch, as the loss does."""
    pairs: Mapping[str, Tensor] = field(default_factory=dict)
    """[pairs] each, by the key under which its mean over all pairs is logged; see `PairLogprobs.quantities`."""
    generated: int = 0
    """Completion tokens that the step sampled, kept or not, EOS included; 0 if its answers were data; on this rank."""


@dataclass(frozen=True)
class RolloutReport(StepReport):
    """The report of a method that samples."""

    weighted: WeightedRollout = field(kw_only=True)
    reference_logprobs: Tensor = field(kw_only=True)
    """[rows, time]: log π_init(y_t)."""
    completions: tuple[str, ...] = field(kw_only=True)
    """The decoded answers, for the sample table."""
