"""Diagnostics as Lightning callbacks; import them as `qstar_pl.callbacks`."""

# Imported under two names, each class would exist twice, and isinstance would tell them apart.
if __name__ != "qstar_pl.callbacks":
    raise ImportError("import the callbacks as qstar_pl.callbacks: this folder is the package's own, through a link")

from .alpha import AlphaDiagnostic as AlphaDiagnostic
from .beta import BetaDiagnostic as BetaDiagnostic
from .budget import Budget as Budget
from .defaults import default_diagnostics as default_diagnostics
from .diagnostic import Diagnostic as Diagnostic
from .diagnostic import RolloutDiagnostic as RolloutDiagnostic
from .diagnostics import Diagnostics as Diagnostics
from .ess import ESSDiagnostic as ESSDiagnostic
from .gradient_variance import GradientDiagnostic as GradientDiagnostic
from .guards import Guards as Guards
from .histograms import Histograms as Histograms
from .kept_answers import KeptAnswers as KeptAnswers
from .kept_distributions import KeptDistributions as KeptDistributions
from .kl import KLDiagnostic as KLDiagnostic
from .lagged_reference import LaggedReference as LaggedReference
from .lengths import LengthsDiagnostic as LengthsDiagnostic
from .loss import LossDiagnostic as LossDiagnostic
from .memory import MemoryDiagnostic as MemoryDiagnostic
from .metrics_bus import MetricsListener as MetricsListener
from .mismatch import MismatchDiagnostic as MismatchDiagnostic
from .pareto import ParetoDiagnostic as ParetoDiagnostic
from .preference import PreferenceDiagnostic as PreferenceDiagnostic
from .progress import StepProgressBar as StepProgressBar
from .reductions import LOGSUMEXP as LOGSUMEXP
from .reductions import MAX as MAX
from .reductions import MIN as MIN
from .reductions import SUM as SUM
from .reductions import Reduction as Reduction
from .reward import RewardDiagnostic as RewardDiagnostic
from .run_report import RunReport as RunReport
from .sample_table import SampleTable as SampleTable
from .speculation import SpeculationDiagnostic as SpeculationDiagnostic
from .throughput import ThroughputDiagnostic as ThroughputDiagnostic
from .tries import TriesDiagnostic as TriesDiagnostic
from .weights import WeightsDiagnostic as WeightsDiagnostic
