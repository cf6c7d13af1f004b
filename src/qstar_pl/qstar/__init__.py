"""The mathematics: pure functions of tensors, and the strategies built on them. Imports torch only.

q_α(y) = π_θ(y)^α π_t(y)^(1−α) / Z_α is the mixture of a policy π_θ and a
target π_t; all arguments are log-probabilities [..., V], all results in nats.

The mixture and what it is worth
    geometric_mixture       q_α and log Z_α at a given α
    Mixture                 what it returns: log-probabilities and log Z
    kl_divergence           D(p‖q)
    mixture_kls             D(q_α‖π_θ) and D(q_α‖π_t) from what a solver knows
    ess                     effective sample size 1/Σ p²/q, per sample
    log_ess                 its logarithm
    entropy                 H = −Σ p log p
    logsumexp               log Σ exp, faster than torch's on a CPU

α of every context
    solve_kl_symmetry       α* with D(q‖π_θ) = D(q‖π_t): q*
    mix_kl_symmetric        the same, and the mixture there
    bisect_kl_symmetry      the same by bisection, the slow reference
    solve_ess_balance       α with ESS_θ = ESS_t
    solve_snr               α of the least variance of the gradient
    snr_alpha               the same, the exponents alone
    entropy_alpha           α = H(π_θ)/(H(π_θ) + H(π_t)), in closed form
    AlphaSolution           what solvers return: α, status, log Z
    AlphaStatus             whether a context was solved, identical, disjoint
    DisjointSupportError    π_θ and π_t share no token

α as a strategy (an option of samplers)
    AlphaStrategy           base class; one of your own subclasses it
    FixedAlpha              the same α everywhere
    EntropyAlpha            entropy_alpha
    SolvedAlpha             base class of the next three
    KLSymmetricAlpha        solve_kl_symmetry, the default
    ESSBalanceAlpha         solve_ess_balance
    SNRAlpha                solve_snr

Sets of whole answers
    mix_candidates          q_α over a set of candidates
    normalise_candidates    a distribution over the set from log π(y|x)
    CandidateMixture        what mix_candidates returns
    CandidateLaw            base class: π_t over a set from rewards
    BestOfN                 law of the best of n
    HighRewardConditional   π_θ given a reward in the upper part

In modules of their own: weights (treatments of π_θ/q), advantages, gae,
losses, kl_estimators, kl_placement, pareto, preferences, sequence_gap,
shaping, whitening.
"""

from qstar_pl.qstar.alpha import AlphaStrategy as AlphaStrategy
from qstar_pl.qstar.alpha import EntropyAlpha as EntropyAlpha
from qstar_pl.qstar.alpha import ESSBalanceAlpha as ESSBalanceAlpha
from qstar_pl.qstar.alpha import FixedAlpha as FixedAlpha
from qstar_pl.qstar.alpha import KLSymmetricAlpha as KLSymmetricAlpha
from qstar_pl.qstar.alpha import SNRAlpha as SNRAlpha
from qstar_pl.qstar.alpha import SolvedAlpha as SolvedAlpha
from qstar_pl.qstar.bisection import bisect_kl_symmetry as bisect_kl_symmetry
from qstar_pl.qstar.candidate_laws import BestOfN as BestOfN
from qstar_pl.qstar.candidate_laws import CandidateLaw as CandidateLaw
from qstar_pl.qstar.candidate_laws import HighRewardConditional as HighRewardConditional
from qstar_pl.qstar.candidates import CandidateMixture as CandidateMixture
from qstar_pl.qstar.candidates import mix_candidates as mix_candidates
from qstar_pl.qstar.candidates import normalise_candidates as normalise_candidates
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
