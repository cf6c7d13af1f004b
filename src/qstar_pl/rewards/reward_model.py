"""A learned reward."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from qstar_pl.checks import at_least
from qstar_pl.models.freeze import freeze
from qstar_pl.models.pretrained import Pretrained
from qstar_pl.models.reward_model import RewardModel
from qstar_pl.models.shared import check_vocabulary
from qstar_pl.models.source import ModelSource
from qstar_pl.models.tiny import TINY
from qstar_pl.models.token_reward_model import TokenRewardModel
from qstar_pl.models.tokenizers import vocabulary_difference
from qstar_pl.models.translation import Translation
from qstar_pl.rewards.chunks import score_in_chunks
from qstar_pl.rewards.reward import Reward
from qstar_pl.types import Rollout


class RewardModelReward(Reward):
    """The scalar of a frozen reward model at the last token of the answer.

    A checkpoint of `RewardModeling` whose reward is a sum over tokens gives that sum, with the scale it was trained at.

    With the policy's vocabulary the model reads the very ids that were sampled, EOS included. With another one it reads
    the same text, prompt and answer, with EOS and the template's markers in their places; see `Translation`.
    """

    scorer: RewardModel | TokenRewardModel

    def __init__(
        self,
        model: ModelSource = Pretrained(TINY),
        rows_per_chunk: int = 64,
    ) -> None:
        """Describe the reward; nothing is loaded yet.

        Args:
            model: where the reward model comes from; `FromCheckpoint` of a run of `RewardModeling` brings what was
                trained there. The default is the tiny world's, for its own policies and data: with others it gives way
                to the reward that the data's adapter suggests, or the run asks for one.
            rows_per_chunk: answers scored in one forward pass, at least 1.

        """
        super().__init__()
        at_least(1, rows_per_chunk=rows_per_chunk)
        self.model = model
        self.rows_per_chunk = rows_per_chunk
        self._policy_tokenizer: PreTrainedTokenizerBase | None = None
        self._translation: Translation | None = None

    def build(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """See `Reward.build`.

        Raises:
            UserError: if the weights are a language model's, whose scalar head would be random.

        """
        self._policy_tokenizer = tokenizer
        if (tokenwise := self.model.token_reward()) is not None:
            check_vocabulary(self.model, tokenizer, "reward.model")
            self.scorer = freeze(tokenwise.build(self.model))
            return
        own = self.model.tokenizer()
        self.scorer = freeze(RewardModel.load(self.model, "reward.model"))
        same = vocabulary_difference(tokenizer, own) is None
        self._translation = None if same else Translation.between(tokenizer, own)

    def left_to_default(self) -> str | None:
        """See `Reward.left_to_default`."""
        return "model" if isinstance(self.model, Pretrained) and self.model.name == TINY else None

    @torch.no_grad()
    def score(self, rollout: Rollout, completions: Sequence[str]) -> Tensor:
        """See `Reward.score`."""
        if self._policy_tokenizer is None:
            raise RuntimeError("RewardModelReward.build must be called before anything is scored")
        if self._translation is not None:
            # Prompt and answer are one sequence of the reward model's own ids, padded on the right.
            ids, mask = self._translated(rollout, self._translation)
            chunks = zip(ids.split(self.rows_per_chunk), mask.split(self.rows_per_chunk), strict=True)
            assert isinstance(self.scorer, RewardModel)  # token by token, only one's own tokens can be read
            return torch.cat([self.scorer.score(*chunk) for chunk in chunks])
        return score_in_chunks(self.scorer, rollout, self.rows_per_chunk)

    @staticmethod
    def _translated(rollout: Rollout, translation: Translation) -> tuple[Tensor, Tensor]:
        """Return ids and mask [rows, length] of prompts and answers as the reward model's tokenizer has them."""
        read = zip(rollout.prompts.prompt_ids, rollout.prompts.prompt_mask, strict=True)
        prompts = [ids[mask].tolist() for ids, mask in read]
        answers = zip(rollout.prompt_index.tolist(), rollout.completion_ids, rollout.completion_mask, strict=True)
        rows = [translation.ids([*prompts[index], *ids[mask].tolist()]) for index, ids, mask in answers]
        device = rollout.completion_ids.device
        lengths = torch.tensor([len(row) for row in rows], device=device)
        # Padded with id 0: any id will do where the mask is False.
        ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(row, dtype=torch.int64) for row in rows], batch_first=True)
        return ids.to(device), torch.arange(ids.shape[1], device=device) < lengths.unsqueeze(-1)
