"""Samplers: what answers are drawn from, as a strategy."""

from qstar_pl.samplers.candidate_set import CandidateSetSampler as CandidateSetSampler
from qstar_pl.samplers.decoding import DecodingSampler as DecodingSampler
from qstar_pl.samplers.engine_sampler import EngineSampler as EngineSampler
from qstar_pl.samplers.geometric import GeometricSampler as GeometricSampler
from qstar_pl.samplers.sampler import Sampler as Sampler
from qstar_pl.samplers.sequence_geometric import SequenceGeometricSampler as SequenceGeometricSampler
from qstar_pl.samplers.single import PolicySampler as PolicySampler
from qstar_pl.samplers.single import TargetSampler as TargetSampler
from qstar_pl.samplers.speculative import SpeculativeSampler as SpeculativeSampler
