"""Rows of a dataset, from the hub or from files on disk, each with the place it came from."""

from qstar_pl.data.reading.read import SUFFIXES as SUFFIXES
from qstar_pl.data.reading.read import json_lines as json_lines
from qstar_pl.data.reading.read import local_files as local_files
from qstar_pl.data.reading.read import looks_local as looks_local
from qstar_pl.data.reading.read import read_rows as read_rows
from qstar_pl.data.reading.row import Row as Row
from qstar_pl.data.reading.row import Unreadable as Unreadable
