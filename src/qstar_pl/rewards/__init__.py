"""Rewards: what an answer is worth, as a strategy."""

from qstar_pl.rewards.classifier import ClassifierReward as ClassifierReward
from qstar_pl.rewards.combined import WeightedSum as WeightedSum
from qstar_pl.rewards.execution import ExecutionReward as ExecutionReward
from qstar_pl.rewards.final_answer import FinalAnswerReward as FinalAnswerReward
from qstar_pl.rewards.gold import GoldReward as GoldReward
from qstar_pl.rewards.noisy import NoisyReward as NoisyReward
from qstar_pl.rewards.reward import Reward as Reward
from qstar_pl.rewards.reward_model import RewardModelReward as RewardModelReward
from qstar_pl.rewards.token_reward import TokenReward as TokenReward
