"""Couplings: how a drafted token is compared with q, so that what is kept follows q exactly."""

from qstar_pl.samplers.couplings.coupling import Coupling as Coupling
from qstar_pl.samplers.couplings.rejection import Rejection as Rejection
from qstar_pl.samplers.couplings.shared_uniform import SharedUniform as SharedUniform
