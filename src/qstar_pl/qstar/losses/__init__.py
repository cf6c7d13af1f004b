"""Losses as pure functions of tensors."""

from qstar_pl.qstar.losses.bradley_terry import bradley_terry_loss as bradley_terry_loss
from qstar_pl.qstar.losses.likelihood import likelihood_loss as likelihood_loss
from qstar_pl.qstar.losses.policy_gradient import policy_gradient_loss as policy_gradient_loss
from qstar_pl.qstar.losses.preference import IPO as IPO
from qstar_pl.qstar.losses.preference import Hinge as Hinge
from qstar_pl.qstar.losses.preference import PreferenceLoss as PreferenceLoss
from qstar_pl.qstar.losses.preference import Sigmoid as Sigmoid
