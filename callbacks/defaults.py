"""The callbacks of a training run that asks for no others."""

from __future__ import annotations

from lightning.pytorch import Callback

from .alpha import AlphaDiagnostic
from .beta import BetaDiagnostic
from .ess import ESSDiagnostic
from .gradient_variance import GradientDiagnostic
from .guards import Guards
from .histograms import Histograms
from .kept_answers import KeptAnswers
from .kept_distributions import KeptDistributions
from .kl import KLDiagnostic
from .lengths import LengthsDiagnostic
from .loss import LossDiagnostic
from .memory import MemoryDiagnostic
from .mismatch import MismatchDiagnostic
from .pareto import ParetoDiagnostic
from .preference import PreferenceDiagnostic
from .reward import RewardDiagnostic
from .run_report import RunReport
from .sample_table import SampleTable
from .speculation import SpeculationDiagnostic
from .throughput import ThroughputDiagnostic
from .tries import TriesDiagnostic
from .weights import WeightsDiagnostic


def default_diagnostics() -> list[Callback]:
    """Return a new instance of every callback that only watches, with its defaults.

    Each of them is silent about what a method lacks, so the set fits all methods.
    """
    return [
        RunReport(),
        LossDiagnostic(),
        RewardDiagnostic(),
        AlphaDiagnostic(),
        ESSDiagnostic(),
        WeightsDiagnostic(),
        ParetoDiagnostic(),
        MismatchDiagnostic(),
        KLDiagnostic(),
        LengthsDiagnostic(),
        SpeculationDiagnostic(),
        TriesDiagnostic(),
        PreferenceDiagnostic(),
        BetaDiagnostic(),
        GradientDiagnostic(),
        ThroughputDiagnostic(),
        MemoryDiagnostic(),
        Guards(),
        SampleTable(),
        Histograms(),
        KeptDistributions(),
        KeptAnswers(),
    ]
