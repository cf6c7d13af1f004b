"""Modules that programs commonly import, loaded once: they cost nothing later, and work where no file can be opened."""

from __future__ import annotations

import contextlib
import importlib

COMMON_MODULES = """
abc array ast asyncio base64 binascii bisect calendar cmath codecs collections collections.abc colorsys
concurrent.futures contextlib copy csv ctypes dataclasses datetime decimal difflib dis encodings.ascii
encodings.idna encodings.latin_1 encodings.utf_8 enum fractions functools gc getpass graphlib hashlib heapq
html inspect io itertools json keyword linecache locale logging marshal math numbers operator os os.path
pickle platform pprint queue random re reprlib resource secrets select shlex signal socket stat statistics
string struct subprocess sys tempfile textwrap threading time timeit token tokenize traceback types typing
unicodedata unittest urllib.parse uuid warnings weakref zlib _strptime _pydecimal
"""


def load_common_modules() -> None:
    """Import them, except those that this Python lacks."""
    for name in COMMON_MODULES.split():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
