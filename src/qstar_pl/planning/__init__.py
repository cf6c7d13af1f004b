"""The memory and time that a configuration would need on a cluster, from first principles."""

from qstar_pl.planning.cluster import Cluster as Cluster
