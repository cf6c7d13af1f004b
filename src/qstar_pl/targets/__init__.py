"""Targets π_t: the behavior we want, as a strategy."""

from qstar_pl.targets.candidate_target import CandidateTarget as CandidateTarget
from qstar_pl.targets.expert import Expert as Expert
from qstar_pl.targets.reward_tilted import RewardTilted as RewardTilted
from qstar_pl.targets.target import Target as Target
from qstar_pl.targets.token_target import TokenTarget as TokenTarget
from qstar_pl.targets.top_k_reward_tilted import TopKRewardTilted as TopKRewardTilted
