"""The Bradley–Terry likelihood of a comparison."""

import torch.nn.functional as F
from torch import Tensor


def bradley_terry_loss(chosen_rewards: Tensor, rejected_rewards: Tensor) -> Tensor:
    """Return −log σ(r_chosen − r_rejected) [pairs], in nats (Bradley & Terry 1952; Ouyang et al. 2022, eq. 1).

    Only differences of rewards are identified: the mean reward is free unless something else fixes it.
    """
    return -F.logsigmoid(chosen_rewards - rejected_rewards)
