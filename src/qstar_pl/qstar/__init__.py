"""The mathematics: pure functions of tensors, and the strategies built on them. Imports torch only."""

from qstar_pl.qstar.alpha import AlphaStrategy as AlphaStrategy
from qstar_pl.qstar.alpha import EntropyAlpha as EntropyAlpha
from qstar_pl.qstar.alpha import ESSBalanceAlpha as ESSBalanceAlpha
from qstar_pl.qstar.alpha import FixedAlpha as FixedAlpha
from qstar_pl.qstar.alpha import KLSymmetricAlpha as KLSymmetricAlpha
from qstar_pl.qstar.alpha import SNRAlpha as SNRAlpha
from qstar_pl.qstar.alpha import SolvedAlpha as SolvedAlpha
from qstar_pl.qstar.bisection import bisect_kl_symmetry as bisect_kl_symmetry
from qstar_pl.qstar.entropy import entropy as entropy
from qstar_pl.qstar.entropy import entropy_alpha as entropy_alpha
from qstar_pl.qstar.ess import ess as ess
from qstar_pl.qstar.ess import log_ess as log_ess
from qstar_pl.qstar.ess_balance import solve_ess_balance as solve_ess_balance
from qstar_pl.qstar.kl import kl_divergence as kl_divergence
from qstar_pl.qstar.kl import mixture_kls as mixture_kls
from qstar_pl.qstar.kl_symmetry import mix_kl_symmetric as mix_kl_symmetric
from qstar_pl.qstar.kl_symmetry import solve_kl_symmetry as solve_kl_symmetry
from qstar_pl.qstar.logsumexp import logsumexp as logsumexp
from qstar_pl.qstar.mixture import Mixture as Mixture
from qstar_pl.qstar.mixture import geometric_mixture as geometric_mixture
from qstar_pl.qstar.snr import snr_alpha as snr_alpha
from qstar_pl.qstar.snr import solve_snr as solve_snr
from qstar_pl.qstar.solution import AlphaSolution as AlphaSolution
from qstar_pl.qstar.solution import AlphaStatus as AlphaStatus
from qstar_pl.qstar.solution import DisjointSupportError as DisjointSupportError
