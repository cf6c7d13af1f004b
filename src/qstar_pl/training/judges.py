"""Which rewards a run has where the user named none: the tiny world's belong to the tiny world."""

from __future__ import annotations

from dataclasses import dataclass

from qstar_pl.data import RLHFDataModule
from qstar_pl.data.wording import announce
from qstar_pl.errors import UserError
from qstar_pl.models.source import ModelSource
from qstar_pl.rewards import Reward


@dataclass(frozen=True)
class Judges:
    """The reward and the gold reward of a run."""

    reward: Reward | None
    gold: Reward | None


def settle(
    judges: Judges, policy: ModelSource, data: RLHFDataModule | None, *, training: str | None, optional: bool
) -> Judges:
    """Return the judges, without defaults that do not belong to this run's policy or data.

    Args:
        judges: as the user gave them, or left them.
        policy: where π_θ comes from.
        data: what is trained or measured on, after its `setup`; None: not known, the policy decides.
        training: the method's name, if it is about to train; None: it only measures.
        optional: whether it trains without a reward.

    Raises:
        UserError: if it needs a reward, and there is none that knows the data.

    """
    settled = _without_defaults(judges, policy, data, training=training, optional=optional)
    for name, judge in (("reward", settled.reward), ("gold", settled.gold)):
        if judge is not None and data is not None:
            check_knows(judge, name, data)
    return settled


def check_knows(judge: Reward, option: str, data: RLHFDataModule) -> None:
    """Check that a reward can judge answers to the rows; where some may be unknown to it, say how many are.

    Args:
        judge: the reward.
        option: what names it, e.g. "reward".
        data: after `setup`.

    Raises:
        UserError: if it knows none of them, or not all and must.

    """
    reasons = [(example, reason) for example in data.examples if (reason := judge.unknown(example)) is not None]
    if not reasons:
        return
    example, reason = reasons[0]
    count, kind = f"{len(reasons)} of {len(data.examples)} rows", type(judge).__name__
    where = f"{example.metadata.get('source', data.path)}: {reason}"
    if not judge.some_unknown or len(reasons) == len(data.examples):
        way_out = "--model.gold=null goes without" if option == "gold" else f"--model.{option} names another"
        raise UserError(f"{option} must know the rows that it judges; {way_out}; got {kind} with {count} ({where})")
    announce(f"{kind}: answers to {count} cannot be judged and get 0 ({where})")


def _without_defaults(
    judges: Judges, policy: ModelSource, data: RLHFDataModule | None, *, training: str | None, optional: bool
) -> Judges:
    own_policy = not policy.in_tiny_world()
    own_data = data is not None and not data.in_tiny_world
    if not own_policy and not own_data:
        return judges
    whose = " and ".join(["a policy"] * own_policy + ["data"] * own_data) + " of your own"
    # Gold is only reported, so a default that knows nothing of these data just falls away.
    gold = None if judges.gold is not None and judges.gold.left_to_default() else judges.gold
    reward = judges.reward
    if reward is not None and (option := reward.left_to_default()) is not None:
        suggested = data.default_reward() if data is not None and own_data else None
        if suggested is not None:
            announce(f"Reward: {type(suggested).__name__}, which knows these data; --model.reward names another")
        elif training is not None and not optional:
            raise UserError(
                f"reward.{option} must be given for {training} on {whose}, since the default judges the tiny world "
                f"alone: e.g. --model.reward.model=FromCheckpoint --model.reward.model.path=CKPT of RewardModeling, "
                f"--model.reward.model.name=FOLDER, or another --model.reward; got {type(reward).__name__}"
            )
        reward = suggested
    return Judges(reward, gold)


def check_target(option: str | None, policy: ModelSource, data: RLHFDataModule | None) -> None:
    """Check that no target is left with its default reward (`option`), the tiny world's, outside of the tiny world.

    Raises:
        UserError: if it is.

    """
    if option is not None and not (policy.in_tiny_world() and (data is None or data.in_tiny_world)):
        raise UserError(
            f"target.{option} must be given with a policy or data of your own, since the default judges the tiny world "
            f"alone: name a reward model, e.g. --model.target.{option}=FromCheckpoint; got its default"
        )
