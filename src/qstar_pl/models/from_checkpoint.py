"""Models that an earlier run trained: how one stage starts where another ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentError, ArgumentParser
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from qstar_pl.checkpoints.finite import first_not_finite
from qstar_pl.checkpoints.reading import read_checkpoint
from qstar_pl.checkpoints.stored_config import OF_A_MODEL, TRUST, withheld_line, without_risks
from qstar_pl.errors import NonFiniteError, UserError
from qstar_pl.models.capabilities import Capabilities
from qstar_pl.models.endings import add_ends
from qstar_pl.models.fingerprint import fingerprint_of
from qstar_pl.models.lora import LoRA, names_of_bases
from qstar_pl.models.placement import empty, place, unplaced
from qstar_pl.models.source import ModelSource
from qstar_pl.models.tokenizers import first_line

if TYPE_CHECKING:
    from qstar_pl.models.reward_parametrisation import TokenwiseReward

CONFIG_KEY = "qstar_config"
"""Key under which `qstar fit` stores the run's resolved configuration in its checkpoints."""
FROZEN = "qstar_models"
"""Key of the fingerprints of models that a checkpoint does not hold; see `training.frozen_models`."""
ENDS_KEY = "qstar_answer_ends"
"""Key under which every method stores the tokens that ended the answers of its data."""
PLACES = {"policy.": "policy", "model.model.": "model"}
"""Prefix of the model's weights in a checkpoint → argument of the method that says where the model came from: of a
policy, and of a reward model (a classifier, or a causal language model if its rewards are token-wise)."""


@dataclass(frozen=True)
class FromCheckpoint(ModelSource):
    """The policy of any method's checkpoint, or the model of a reward model's; no code in it is run.

    The architecture, its options (dtype, dropout, …) and the tokenizer come from the source that the run itself used,
    which the checkpoint names and which must still be there; the weights are then replaced by the checkpoint's.
    """

    path: str
    """A checkpoint: a .ckpt file, or the folder that sharded training wrote."""
    base: ModelSource | None = None
    """Where architecture and tokenizer come from; null: from where the run got them."""
    trust_remote_code: bool = False
    """Run Python code that comes with the run's model; a checkpoint cannot ask for it."""
    accept_changed_models: bool = False
    """For a run with adapters: put them on another model than they were trained on."""
    _behind: tuple[Path, ...] = field(default=(), init=False, repr=False, compare=False)
    """Checkpoints that led to this one."""

    def load(self) -> PreTrainedModel:
        """See `ModelSource.load`.

        Raises:
            UserError: if the checkpoint cannot be read, holds no policy, or one of another architecture.

        """
        contents = self._contents()
        if _is_classifier(self._weights(contents)):
            raise UserError(
                f"path must be a checkpoint with a language model, got {self.path}, which holds a reward model with a "
                "scalar head; --model.reward.model=FromCheckpoint reads it"
            )
        with unplaced():
            model = self._source(contents).load()
        # Still whole: the weights go in before a strategy shards the model.
        self._fill(model, self._weights(contents), optional=())
        self._check_base(model, contents)
        add_ends(model, contents.get(ENDS_KEY) or ())
        return place(model)

    def load_reward(self) -> PreTrainedModel:
        """See `ModelSource.load_reward`; a causal language model lends its backbone, its head comes from its source.

        Raises:
            UserError: as `load` does.

        """
        contents = self._contents()
        state = self._weights(contents)
        lent = not _is_classifier(state)
        if lent and self._stated_base(contents) is not None:
            # Adapters were put on a language model, head and all, of which a reward model has the backbone only.
            with unplaced():
                self._check_base(self._source(contents).load(), contents)
        with unplaced():
            model = self._source(contents).load_reward()
        backbone = f"{model.base_model_prefix}."
        if not lent:
            self._fill(model, state, optional=())
            model.config.architectures = [type(model).__name__]  # its head is trained, whatever the source's was
            self._check_base(model, contents)
        else:
            # A source of random weights names no architecture; by this one `RewardModel.load` refuses its head.
            model.config.architectures = model.config.architectures or ["a language model"]
            heads = [key for key in model.state_dict() if not key.startswith(backbone)]
            self._fill(model, {k: v for k, v in state.items() if k.startswith(backbone)}, optional=heads)
        return place(model)

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """See `ModelSource.tokenizer`."""
        return self._source(self._contents()).tokenizer()

    def capabilities(self, tokenizer: PreTrainedTokenizerBase | None = None) -> Capabilities:
        """See `ModelSource.capabilities`."""
        return self._source(self._contents()).capabilities(tokenizer)

    def in_tiny_world(self) -> bool:
        """See `ModelSource.in_tiny_world`."""
        return self._source(self._contents()).in_tiny_world()

    def under_adapters(self) -> ModelSource | None:
        """See `ModelSource.under_adapters`; those of the checkpoint's own run."""
        source = self._source(self._contents())
        # A checkpoint in between, and what it was trained from, are two models.
        return source.under_adapters() if isinstance(source, LoRA) else None

    def source(self) -> ModelSource:
        """Return where the run got its model from, and through which adapters, if any."""
        return self._source(self._contents())

    def token_reward(self) -> TokenwiseReward | None:
        """See `ModelSource.token_reward`."""
        # It is made of a LanguageModel, whose module reads this folder.
        from qstar_pl.models.reward_parametrisation import TokenwiseReward

        contents = self._contents()
        stated = _options(contents).get("parametrisation")
        if PLACES[self._prefix(contents)] != "model" or stated is None or _is_classifier(self._weights(contents)):
            return None
        reward: TokenwiseReward = self._instantiate(TokenwiseReward, stated)
        return reward

    def holds_classifier(self) -> bool:
        """Return whether `load_reward` gives what was trained, and not `load`."""
        return _is_classifier(self._weights(self._contents()))

    def _contents(self) -> Mapping[str, Any]:
        return read_checkpoint(Path(self.path), "path")

    def _prefix(self, contents: Mapping[str, Any]) -> str:
        for prefix in PLACES:
            if any(key.startswith(prefix) for key in contents["state_dict"]):
                return prefix
        raise UserError(f"path must be a checkpoint with a policy or a reward model, got {self.path}")

    def _weights(self, contents: Mapping[str, Any]) -> dict[str, Tensor]:
        prefix = self._prefix(contents)
        return {key.removeprefix(prefix): v for key, v in contents["state_dict"].items() if key.startswith(prefix)}

    def _source(self, contents: Mapping[str, Any]) -> ModelSource:
        if self.base is not None:
            return self.base
        options = _options(contents)
        argument = PLACES[self._prefix(contents)]
        if argument not in options:
            raise UserError(f"base must be given, since {self.path} was not written by `qstar fit` and does not say it")
        source: ModelSource = self._instantiate(ModelSource, options[argument])
        self._lead_on(source)
        return source

    def _lead_on(self, source: Any) -> None:
        """Tell the checkpoints behind this one which lead to them: a circle of them would have no end."""
        behind = (*self._behind, Path(self.path).resolve())
        while source is not None:
            if isinstance(source, FromCheckpoint):
                if Path(source.path).resolve() in behind:
                    raise UserError(f"path must lead to a model in the end, got {source.path}, which leads to itself")
                object.__setattr__(source, "_behind", behind)  # of a frozen source, before anybody has seen it
            source = getattr(source, "base", None)

    def _instantiate(self, kind: Any, stated: Any) -> Any:
        """Build what the run's configuration states of its model, without what a checkpoint may not ask for."""
        # Anybody may have written the checkpoint: what would run code is refused, not built.
        config, withheld = without_risks({"base": stated})
        if refused := [one for one in withheld if one.reason != OF_A_MODEL or not self.trust_remote_code]:
            raise UserError(withheld_line("path", self.path, refused))
        parser = ArgumentParser(exit_on_error=False)
        parser.add_argument("--stated", type=kind)
        try:
            built = parser.instantiate(parser.parse_object({"stated": config.get("base")})).stated
        except (ArgumentError, TypeError, ValueError, AttributeError, UserError) as error:
            raise UserError(
                f"path must say which model it holds, got {self.path} with {stated}: {first_line(error)}"
            ) from error
        return _trusting(built) if self.trust_remote_code else built

    def _stated_base(self, contents: Mapping[str, Any]) -> str | None:
        """Return the fingerprint of what adapters were trained on, if the checkpoint states it and it is checked."""
        place = self._prefix(contents).removesuffix(".")
        stored: str | None = (contents.get(FROZEN) or {}).get(f"{place}.base")
        return None if self.accept_changed_models or empty() else stored

    def _check_base(self, model: PreTrainedModel, contents: Mapping[str, Any]) -> None:
        """Compare what adapters were put on with what they were trained on, if the checkpoint says it."""
        stored = self._stated_base(contents)
        if stored is None or not names_of_bases(model):
            return
        names = names_of_bases(model)
        if fingerprint_of((name, value) for name, value in model.state_dict().items() if name in names) != stored:
            raise UserError(
                f"path must hold adapters of the model that their base leads to, got {self.path}, which was trained on "
                "other weights; if you mean it, give accept_changed_models=true"
            )

    def _fill(self, model: PreTrainedModel, state: Mapping[str, Tensor], optional: Any) -> None:
        if empty():
            return  # the process that loads the weights fills its own
        weights = ((name, state[name]) for name, _ in model.named_parameters() if name in state)
        if (found := first_not_finite(weights)) is not None:
            raise NonFiniteError(f"path must hold finite weights, got {self.path} with {found[1]} in {found[0]}")
        try:
            result = model.load_state_dict(state, strict=False)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise UserError(f"path must hold weights of the shape of its source, got {self.path}: {reason}") from error
        # Not `strict`: what lies under adapters is in no checkpoint, it comes from its own source.
        missing = sorted(set(result.missing_keys) - set(optional) - names_of_bases(model))
        if missing or result.unexpected_keys:
            raise UserError(
                f"path must hold the weights of its source, got {self.path} with {len(missing)} missing {missing[:2]} "
                f"and {len(result.unexpected_keys)} unknown {result.unexpected_keys[:2]}"
            )


def _trusting(source: Any) -> Any:
    """Return a source that runs the code that comes with its model, however deep inside others that is."""
    if not is_dataclass(source) or isinstance(source, type):
        return source
    changes: dict[str, Any] = {
        one.name: _trusting(getattr(source, one.name)) for one in fields(source) if one.name == "base"
    }
    if hasattr(source, TRUST):
        changes[TRUST] = True
    return replace(source, **changes)


def _options(contents: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the run's method, empty if the run had no configuration."""
    model = (contents.get(CONFIG_KEY) or {}).get("model")
    options = model.get("init_args") if isinstance(model, Mapping) else None
    return dict(options) if isinstance(options, Mapping) else {}


def _is_classifier(state: Mapping[str, Tensor]) -> bool:
    return any(key.startswith("score.") for key in state)  # the head that `RewardModel` asks for
