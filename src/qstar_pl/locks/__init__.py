"""One writer at a time, over kills, containers and network file systems."""

from qstar_pl.locks.holder import LIMIT_S as LIMIT_S
from qstar_pl.locks.holder import Holder as Holder
from qstar_pl.locks.lock import Lock as Lock
from qstar_pl.locks.lock import check_free as check_free
from qstar_pl.locks.lock import is_lost as is_lost
from qstar_pl.locks.lock import last_holder as last_holder
from qstar_pl.locks.lock import lost as lost
