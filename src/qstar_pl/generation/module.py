"""π_θ and π_t as a LightningModule that only predicts."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.checks import at_least
from qstar_pl.data.records import make_records
from qstar_pl.describing import described
from qstar_pl.distributed.placing import sampling_from
from qstar_pl.errors import UserError
from qstar_pl.generation.fingerprint import fingerprint
from qstar_pl.generation.unit import Unit
from qstar_pl.methods import RLHFModule
from qstar_pl.models import LanguageModel, Pretrained
from qstar_pl.models.freeze import freeze
from qstar_pl.models.policy_base import PolicyBase, lending
from qstar_pl.models.source import ModelSource
from qstar_pl.models.text import continuation_texts
from qstar_pl.samplers import GeometricSampler, Sampler
from qstar_pl.samplers.sampler import built
from qstar_pl.samplers.speculation.totals import Totals
from qstar_pl.targets.target import Target
from qstar_pl.types import PromptBatch, Rollout


class GenerationModule(RLHFModule):
    """Answers prompts from q and reports what q was; run by `qstar predict` and `qstar generate`.

    `predict_step` returns one record per answer: `messages`, `sample_idx` (its row), `answer_idx`, the row's fields,
    `diagnostics`, and with `save_tokens` the numbers of every token. The diagnostics need no further model pass: they
    are sums over what decoding computed.
    """

    batch_type = PromptBatch
    policy: PreTrainedModel

    def __init__(
        self,
        policy: ModelSource = Pretrained("tiny/policy"),
        target: Target | None = None,
        sampler: Sampler = GeometricSampler(),
        samples_per_prompt: int = 1,
        seed: int | None = None,
        save_tokens: bool = False,
        strip: bool = True,
        refill: bool = False,
    ) -> None:
        """Describe the models; nothing is loaded yet.

        Args:
            policy: π_θ.
            target: π_t; None: only for a sampler that needs none.
            sampler: q.
            samples_per_prompt: answers to each prompt.
            seed: of all answers; None: the run's own (`--seed_everything`).
            save_tokens: whether records hold every token's numbers.
            strip: whether white space around an answer is removed, since a dialogue's template adds it again.
            refill: whether answers that end make room for the next prompts; see `Sampler.draw_all`.

        """
        super().__init__()
        at_least(1, samples_per_prompt=samples_per_prompt)
        if target is None and sampler.needs_target:
            raise UserError(f"target must be given for {type(sampler).__name__}; without one PolicySampler works")
        if target is not None:
            sampler.check_target(target)
            if isinstance(own := getattr(target, "model", None), ModelSource):
                own.check_beside(policy, trains=False)
        self.policy_source = policy
        self.target = target
        self.sampler = sampler
        self.samples_per_prompt = samples_per_prompt
        self.seed = seed
        self.save_tokens = save_tokens
        self.strip = strip
        self.refill = refill
        self._said_why = False
        self._fingerprints: dict[str, str | None] | None = None
        self._policy_tokens: LanguageModel | None = None
        self.drafting = Totals()

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The policy's tokenizer, with which prompts are encoded."""
        return self.policy_source.tokenizer()

    def frozen_parts(self) -> tuple[str, ...]:
        """See `RLHFModule.frozen_parts`."""
        return ("policy", "target", "sampler_models")

    def build_models(self) -> None:
        """Load the models, which a strategy may shard."""
        self.policy = freeze(self.policy_source.load())
        if self.target is not None:
            with lending(self.policy_source, self.policy, trains=False):
                self.target.build(self.policy, self.tokenizer)
        if owned := built(self.sampler, self.policy, self.tokenizer):
            self.sampler_models = nn.ModuleList(owned)

    def teardown(self, stage: str) -> None:
        """Let go of what the sampler has started."""
        super().teardown(stage)
        self.sampler.close()

    @property
    def policy_tokens(self) -> LanguageModel:
        """π_θ as a distribution over next tokens."""
        if self._policy_tokens is None or self._policy_tokens.model is not self.policy:
            self._policy_tokens = LanguageModel(self.policy, self.tokenizer)
        return self._policy_tokens

    def fingerprints(self) -> dict[str, str | None]:
        """Return the fingerprints of the models' weights; see `fingerprint`."""
        if self._fingerprints is None:
            target = None if self.target is None else fingerprint(self.target)
            self._fingerprints = {"model_theta": fingerprint(self.policy), "model_t": target}
            if self.sampler.models():
                self._fingerprints["sampler"] = fingerprint(self.sampler_models)
        return self._fingerprints

    def settings(self) -> dict[str, Any]:
        """Return what decides the answers to given prompts, for `GenerationWriter`."""
        # A target is an nn.Module, whose `repr` lists submodules and not options.
        target = None if self.target is None else described(self.target)
        own: dict[str, Any] = {name: getattr(self, name) for name in ("samples_per_prompt", "save_tokens", "strip")}
        if self.refill:  # units of several batches; runs without it are those of versions that had none
            own["refill"] = True
        return {
            "policy": repr(self.policy_source),
            "target": target,
            "sampler": repr(self.sampler),
            "seed": self._draw_seed,
            **own,
        }

    @property
    def _draw_seed(self) -> int:
        return self.sampling_seed if self.seed is None else self.seed

    def check_lengths(self, longest_prompt: int) -> None:
        """Raise UserError if the longest prompt and answer together do not fit into a model's context."""
        source = getattr(self.target, "model", None)
        contexts = {"model_theta": self.policy_tokens.capabilities.context}
        if isinstance(source, ModelSource) and not isinstance(source, PolicyBase):
            contexts["model_t"] = source.capabilities().context
        for name, context in contexts.items():
            if context.limit is not None and longest_prompt + self.sampler.max_new_tokens > context.limit:
                raise UserError(
                    f"max_prompt_tokens and max_new_tokens must fit into the {context.limit} {context.reason} of "
                    f"{name} together, got {longest_prompt} (the longest prompt) + {self.sampler.max_new_tokens}"
                )

    @property
    def refills(self) -> bool:
        """Whether several batches are answered together, as far as settings say."""
        return self.refill and self.sampler.refills

    def draw(self, prompts: PromptBatch) -> Rollout:
        """Sample answers to one batch; see `draw_all`."""
        return self.draw_all([prompts])[0]

    def draw_all(self, batches: Sequence[PromptBatch]) -> list[Rollout]:
        """Sample answers to each batch from q; if models are sharded, all processes must call this together."""
        # All models that run token by token: a strategy that shards them may gather them for the whole rollout.
        decoding = [] if self.target is None else self.target.decoding_models()
        with sampling_from(self, [self.policy, *decoding, *self.sampler.models()]) as pace:
            policy = self.policy_tokens
            target = policy if self.target is None else self.target  # without π_t, π_θ is compared with itself
            if len(batches) > 1 and (why := self.sampler.why_not_refilled(policy, target, pace)) is not None:
                self._say(why)
            return self.sampler.draw_all(
                batches,
                policy,
                target,
                samples=self.samples_per_prompt,
                seed=self._draw_seed,
                refill=self.refill,
                pace=pace,
            )

    def _say(self, why: str) -> None:
        if not self._said_why:
            self._said_why = True
            rank_zero_warn(f"each batch is decoded to its end before the next one begins: {why}")

    def texts(self, ids: Tensor, mask: Tensor) -> list[str]:
        """Return the texts of answers [rows, time], without special tokens."""
        rows = [row[row_mask].tolist() for row, row_mask in zip(ids.cpu(), mask.cpu(), strict=True)]
        texts = continuation_texts(self.tokenizer, rows)
        return [text.strip() for text in texts] if self.strip else texts

    def predict_step(self, batch: PromptBatch | Unit, batch_idx: int, dataloader_idx: int = 0) -> list[dict[str, Any]]:
        """Return one record per answer, with the answers to one prompt next to each other."""
        rollouts = self.draw_all(batch.batches if isinstance(batch, Unit) else [batch])
        return [record for rollout in rollouts for record in self._records(rollout)]

    def _records(self, rollout: Rollout) -> list[dict[str, Any]]:
        self.drafting.add(rollout.info, len(rollout))
        return make_records(
            rollout,
            self.texts(rollout.completion_ids, rollout.completion_mask),
            samples=self.samples_per_prompt,
            target=self.target is not None,
            tokens=self.save_tokens,
            constants=self.fingerprints(),
        )
