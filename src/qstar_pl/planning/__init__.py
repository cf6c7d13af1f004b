"""The memory and time that a configuration would need on a cluster, from first principles."""

from qstar_pl.planning.cluster import Cluster as Cluster
from qstar_pl.planning.memory import plan_memory as plan_memory
from qstar_pl.planning.speed import plan_speed as plan_speed
from qstar_pl.planning.workload import Workload as Workload
