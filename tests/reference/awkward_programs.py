# ruff: noqa: E501 (a program stands on one line)
"""Right programs of awkward kinds, each with its tests, and wrong ones that such tests must not let through.

A function's entry is (name, program, the body of `check(candidate)`, the prompt if it matters); the function is called
`f`. A script's is (name, program, input, output).
"""

from __future__ import annotations

from typing import NamedTuple


class Function(NamedTuple):
    name: str
    program: str
    test: str
    prompt: str = "def f(*xs):\n    pass\n"


NODE = (
    "class Node:\n    def __init__(self, value, next=None):\n        self.value, self.next = value, next\n"
    "def f(node):\n    '''Do something with a list of nodes.'''\n"
)
POINT = (
    "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Point:\n    x: int\n    y: int\n"
    "def f(*xs):\n    '''Return a point.'''\n"
)
ERROR = (
    "class EmptyError(ValueError):\n    def __init__(self, what, code=0):\n        super().__init__(what)\n"
    "        self.what, self.code = what, code\ndef f(*xs):\n    '''Raise it.'''\n"
)
COLOR = "import enum\nclass Color(enum.Enum):\n    RED = 1\n    BLUE = 2\ndef f(*xs):\n    '''Return a color.'''\n"
OWN_NUMBER = (
    "class Vec:\n    def __init__(self, *xs): self.xs = xs\n    def __len__(self): return len(self.xs)\n"
    "    def __getitem__(self, i): return self.xs[i]\n    def __repr__(self): return f'Vec{self.xs}'\n"
    "    def __eq__(self, o): return self.xs == o.xs\n    def __hash__(self): return hash(self.xs)\n"
    "    def norm(self, p=1): return sum(abs(x) ** p for x in self.xs)\n"
    "def f(*xs): return Vec(*xs)"
)

# fmt: off
FUNCTIONS = [
    # --- values of the standard library --------------------
    Function("date", "import datetime as d\ndef f(y): return d.date(y, 2, 28) + d.timedelta(1)",
             "import datetime\nassert candidate(2024) == datetime.date(2024, 2, 29)\nassert candidate(2023).day == 1"),
    Function("datetime with a zone", "from datetime import *\ndef f(x): return x.astimezone(timezone.utc)",
             "from datetime import datetime, timedelta, timezone\nt = datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=2)))\n"
             "assert candidate(t) == t\nassert candidate(t).hour == 22"),
    Function("timedelta", "from datetime import timedelta\ndef f(h): return timedelta(hours=h)",
             "assert candidate(1.5).total_seconds() == 5400"),
    Function("time", "from datetime import time\ndef f(h): return time(h, 30)",
             "import datetime\nassert candidate(3) == datetime.time(3, 30)"),
    Function("Counter", "from collections import Counter\ndef f(s): return Counter(s)",
             "assert candidate('aab').most_common(1) == [('a', 2)]\nassert candidate('')['x'] == 0"),
    Function("OrderedDict", "from collections import OrderedDict\ndef f(*xs): return OrderedDict((x, 1) for x in xs)",
             "r = candidate(2, 1)\nr.move_to_end(2)\nassert list(r) == [1, 2]"),
    Function("defaultdict", "from collections import defaultdict\ndef f(xs):\n    d = defaultdict(list)\n"
             "    for x in xs: d[x % 2].append(x)\n    return d", "r = candidate([1, 2, 3])\nassert r == {1: [1, 3], 0: [2]}\n"
             "assert r[7] == []"),
    Function("namedtuple", "from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef f(a): return P(a, -a)",
             "assert candidate(2).x == 2\nassert candidate(2) == (2, -2)\nassert candidate(1)._asdict() == {'x': 1, 'y': -1}"),
    Function("deque with a bound", "from collections import deque\ndef f(xs): return deque(xs, 2)",
             "r = candidate([1, 2, 3])\nr.append(4)\nassert list(r) == [3, 4]\nassert r.maxlen == 2"),
    Function("deque as an argument", "def f(q):\n    q.rotate(1)\n    return q.popleft()",
             "from collections import deque\nq = deque([1, 2, 3])\nassert candidate(q) == 3\nassert list(q) == [1, 2]"),
    Function("values of a dict", "def f(d): return d.values()",
             "assert list(candidate({1: [2]})) == [[2]]\nassert 3 in candidate({1: 3})\nassert len(candidate({})) == 0"),
    Function("items of a dict", "def f(d): return d.items()",
             "assert candidate({1: 2}) == {(1, 2)}\nassert dict(candidate({'a': []})) == {'a': []}"),
    Function("range", "def f(n): return range(n, 0, -1)",
             "assert candidate(3)[0] == 3\nassert candidate(3) == range(3, 0, -1)\nassert 2 in candidate(3)"),
    Function("Fraction", "from fractions import Fraction as F\ndef f(x): return sum(F(1, k) for k in range(1, x))",
             "from fractions import Fraction\nassert candidate(4) == Fraction(11, 6)\nassert candidate(3).denominator == 2"),
    Function("Decimal", "from decimal import Decimal as D\ndef f(x): return D(x).quantize(D('0.01'))",
             "from decimal import Decimal\nassert candidate('1.005') == Decimal('1.00')\nassert str(candidate('2')) == '2.00'"),
    Function("types", "def f(x): return type(x)", "assert candidate(1) is int\nassert candidate(None) is type(None)\n"
             "assert [candidate(x) for x in ('', [])] == [str, list]"),
    Function("a type as an argument", "def f(kind, x): return kind(x)",
             "assert candidate(int, '3') == 3\nassert candidate(list, 'ab') == ['a', 'b']\nassert candidate(bool, 0) is False"),
    Function("ellipsis", "def f(): return ...", "assert candidate() is ..."),
    Function("UUID", "import uuid\ndef f(n): return uuid.UUID(int=n)", "import uuid\nassert candidate(5) == uuid.UUID(int=5)"),
    Function("path", "from pathlib import Path\ndef f(p): return Path(p).parent",
             "from pathlib import PurePosixPath\nassert candidate('/a/b') == PurePosixPath('/a')\nassert candidate('/a/b').name == 'a'"),
    Function("bytearray in place", "def f(b): b.reverse()", "b = bytearray(b'abc')\ncandidate(b)\nassert b == b'cba'"),
    Function("array", "from array import array\ndef f(xs): return array('i', xs)",
             "assert list(candidate([1, 2])) == [1, 2]\nassert candidate([4])[0] == 4\nassert len(candidate([1])) == 1"),
    # --- iterators --------------------
    Function("generator type", "def f(n):\n    for i in range(n): yield i",
             "import types\nassert isinstance(candidate(2), types.GeneratorType)\nassert [*candidate(2)] == [0, 1]"),
    Function("generator with send", "def f():\n    total = 0\n    while True:\n        total += (yield total) or 0",
             "g = candidate()\nassert next(g) == 0\nassert g.send(5) == 5\nassert g.send(2) == 7"),
    Function("generator that returns", "def f():\n    yield 1\n    return 'end'",
             "def all_of(g):\n    value = yield from g\n    yield value\nassert list(all_of(candidate())) == [1, 'end']"),
    Function("an endless argument", "from itertools import islice\ndef f(xs, n): return list(islice(xs, n))",
             "import itertools\nxs = itertools.count()\nassert candidate(xs, 3) == [0, 1, 2]\nassert candidate(xs, 2) == [3, 4]\n"
             "assert next(xs) == 5"),
    Function("a generator as an argument", "def f(xs): return sum(xs)", "assert candidate(x * x for x in range(4)) == 14"),
    Function("an iterator of iterators", "import itertools\ndef f(s): return ((k, list(g)) for k, g in itertools.groupby(s))",
             "assert dict(candidate('aab')) == {'a': ['a', 'a'], 'b': ['b']}"),
    Function("zip, map, reversed, enumerate", "def f(a, b): return zip(map(str, a), reversed(b), enumerate(a))",
             "assert list(candidate([1, 2], [3, 4])) == [('1', 4, (0, 1)), ('2', 3, (1, 2))]"),
    Function("an own iterator", "class Down:\n    def __init__(self, n): self.n = n\n    def __iter__(self): return self\n"
             "    def __next__(self):\n        if self.n < 1: raise StopIteration\n        self.n -= 1\n        return self.n\n"
             "def f(n): return Down(n)", "assert list(candidate(3)) == [2, 1, 0]\nassert sum(candidate(4)) == 6"),
    # --- functions --------------------
    Function("a function as an argument", "def f(g, xs): return [g(x) for x in xs]",
             "assert candidate(lambda x: x + 1, [1, 2]) == [2, 3]\nassert candidate(str.upper, ['a']) == ['A']"),
    Function("builtins as arguments", "def f(g, *xs): return g(xs)",
             "import math\nassert candidate(max, 1, 3) == 3\nassert candidate(sum, 1, 3) == 4\nassert candidate(math.prod, 2, 3) == 6"),
    Function("a key", "def f(xs, key): return sorted(xs, key=key, reverse=True)",
             "assert candidate(['a', 'ccc', 'bb'], key=len) == ['ccc', 'bb', 'a']"),
    Function("a comparison", "from functools import cmp_to_key\ndef f(xs, c): return sorted(xs, key=cmp_to_key(c))",
             "assert candidate([3, 1, 2], lambda a, b: b - a) == [3, 2, 1]"),
    Function("a predicate that counts", "def f(p, xs): return next((x for x in xs if p(x)), None)",
             "seen = []\ndef p(x):\n    seen.append(x)\n    return x > 1\nassert candidate(p, [1, 2, 3]) == 2\nassert seen == [1, 2]"),
    Function("a function that is returned", "def f(a): return lambda b, *, c=0: a + b + c",
             "add = candidate(2)\nassert add(3) == 5\nassert add(3, c=1) == 6\nassert callable(add)"),
    Function("composition", "def f(*gs):\n    def h(x):\n        for g in gs: x = g(x)\n        return x\n    return h",
             "assert candidate(str, len)(1000) == 4\nassert candidate()(7) == 7"),
    Function("a decorator", "import functools\ndef f(g):\n    calls = []\n    @functools.wraps(g)\n    def h(*a):\n"
             "        calls.append(a)\n        return len(calls), g(*a)\n    return h",
             "@candidate\ndef g(x): return x * 2\nassert g(1) == (1, 2)\nassert g(4) == (2, 8)"),
    Function("memoised", "import functools\n@functools.lru_cache(None)\ndef f(n): return n if n < 2 else f(n - 1) + f(n - 2)",
             "assert candidate(80) == 23416728348467685"),
    Function("a callable object", "class Add:\n    def __init__(self, n): self.n = n\n    def __call__(self, x): return self.n + x\n"
             "f = Add(3)", "assert candidate(4) == 7"),
    Function("a partial", "from functools import partial\nf = partial(pow, 2)", "assert candidate(5) == 32"),
    Function("a function that raises", "def f(g):\n    try: return g()\n    except KeyError as e: return e.args[0]",
             "def g(): raise KeyError('k')\nassert candidate(g) == 'k'"),
    Function("an error of the tests' own passes", "def f(g): return g()",
             "class Boom(Exception): pass\nboom = Boom(1)\ndef g(): raise boom\ntry: candidate(g)\n"
             "except Boom as e: assert e is boom\nelse: assert False"),
    Function("candidate as its own argument", "def f(g, n=0): return n if n else g(g, 5)", "assert candidate(candidate) == 5"),
    Function("a function gets a list to change", "def f(g):\n    xs = [1]\n    g(xs)\n    return xs",
             "assert candidate(lambda xs: xs.append(2)) == [1, 2]"),
    # --- depth, sharing and identity --------------------
    Function("a deep argument", "def f(x):\n    n = 0\n    while x:\n        x, n = x[0], n + 1\n    return n",
             "x = []\nfor _ in range(3000): x = [x]\nassert candidate(x) == 3000"),
    Function("a deep result", "def f(n):\n    x = ()\n    for _ in range(n): x = (x,)\n    return x",
             "x, n = candidate(900), 0\nwhile x: x, n = x[0], n + 1\nassert n == 900"),
    Function("a deep dict", "def f(n):\n    d = {}\n    for i in range(n): d = {'d': d}\n    return d",
             "d, n = candidate(5000), 0\nwhile d: d, n = d['d'], n + 1\nassert n == 5000"),
    Function("a list in itself", "def f(x):\n    x.append(x)\n    return x", "x = []\nassert candidate(x) is x\nassert x[0] is x"),
    Function("the argument itself", "def f(x):\n    x.sort()\n    return x", "x = [2, 1]\nassert candidate(x) is x\nassert x == [1, 2]"),
    Function("a part of the argument", "def f(x): return x['a']", "x = {'a': [1]}\nassert candidate(x) is x['a']"),
    Function("a copy", "import copy\ndef f(x): return copy.deepcopy(x)",
             "x = [[1]]\ny = candidate(x)\nassert y == x and y is not x and y[0] is not x[0]"),
    Function("a tuple itself", "def f(t): return t", "t = (1, [2])\nassert candidate(t) is t"),
    Function("rows that are not one", "def f(n): return [[0] * n for _ in range(n)]",
             "m = candidate(2)\nm[0][0] = 1\nassert m == [[1, 0], [0, 0]]"),
    Function("one row in two places", "def f():\n    r = [0]\n    return [r, r]", "a, b = candidate()\na.append(1)\nassert b is a and b == [0, 1]"),
    Function("changes deep inside", "def f(x): x['rows'][1].append({'new': 1})",
             "row = []\nx = {'rows': [0, row]}\ncandidate(x)\nassert row == [{'new': 1}]\nassert x['rows'][1] is row"),
    Function("the same object each time", "cache = {}\ndef f(k): return cache.setdefault(k, [])",
             "a = candidate(1)\na.append(5)\nassert candidate(1) is a\nassert candidate(1) == [5]\nassert candidate(2) == []"),
    Function("a singleton", "class One: pass\none = One()\ndef f(): return one", "assert candidate() is candidate() is not None"),
    Function("an argument that is kept", "kept = []\ndef f(x):\n    kept.append(x)\n    return [list(k) for k in kept]",
             "x = [1]\ncandidate(x)\nx.append(2)\nassert candidate([]) == [[1, 2], []]"),
    Function("swaps in place", "def f(a, b): a[:], b[:] = b[:], a[:]", "a, b = [1], [2]\ncandidate(a, b)\nassert (a, b) == ([2], [1])"),
    Function("True and 1", "def f(x): x[0] = True", "x = [1]\ncandidate(x)\nassert x[0] is True"),
    # --- classes --------------------
    Function("nodes of the prompt", NODE.replace("    '''Do something with a list of nodes.'''\n", "") +
             "    last = None\n    while node: node.next, last, node = last, node, node.next\n    return last",
             "a = Node(1, Node(2, Node(3)))\nr = candidate(a)\nassert (r.value, r.next.value, r.next.next) == (3, 2, a)\n"
             "assert isinstance(r, Node) and a.next is None", NODE),
    Function("a dataclass of the prompt", POINT.replace("    '''Return a point.'''\n", "    return Point(*xs)\n"),
             "assert candidate(1, 2) == Point(1, 2)\nassert {candidate(1, 2): 1}[Point(1, 2)] == 1", POINT),
    Function("members of an enumeration", COLOR.replace("    '''Return a color.'''\n", "    return [c for c in Color if c not in xs]\n"),
             "assert candidate(Color.RED) == [Color.BLUE]\nassert candidate()[0] is Color.RED", COLOR),
    Function("a class of the prompt as an argument", "class A:\n    n = 1\ndef f(kind): return kind().n, kind",
             "n, kind = candidate(A)\nassert n == 1 and kind is A", "class A:\n    n = 1\ndef f(kind):\n    '''Make one.'''\n"),
    Function("an object of its own class", OWN_NUMBER, "v = candidate(3, -4)\nassert v[0] == 3 and len(v) == 2 and list(v) == [3, -4]\n"
             "assert repr(v) == 'Vec(3, -4)' and f'{v}' == str(v)\nassert v.norm() == 7 and v.norm(p=2) == 25\nassert v.xs == (3, -4)"),
    Function("objects that are equal", OWN_NUMBER, "assert candidate(1) == candidate(1)\nassert candidate(1) != candidate(2)\n"
             "assert len({candidate(1), candidate(1), candidate(2)}) == 2\nassert candidate(1) in [candidate(2), candidate(1)]"),
    Function("a class that is returned", "def f():\n    class Stack:\n        def __init__(self): self.xs = []\n"
             "        def push(self, x): self.xs.append(x); return self\n        def pop(self): return self.xs.pop()\n    return Stack",
             "s = candidate()()\ns.push(1).push([2])\nassert s.pop() == [2] and s.pop() == 1\ntry: s.pop()\nexcept IndexError: pass\n"
             "else: assert False"),
    Function("an object with attributes to set", "class Box: pass\ndef f(): return Box()", "b = candidate()\nb.n = [1]\nb.n.append(2)\n"
             "assert b.n == [1, 2]\ndel b.n\nassert not hasattr(b, 'n')"),
    Function("a context manager", "import contextlib\nlog = []\n@contextlib.contextmanager\ndef f():\n    log.append('in')\n    yield log\n"
             "    log.append('out')", "with candidate() as log: assert log == ['in']"),
    Function("a match", "import re\ndef f(s): return re.match(r'(a+)(b*)', s)",
             "assert candidate('aab').group(1) == 'aa'\nassert candidate('x') is None\nassert candidate('ab')[2] == 'b'\nassert candidate('a')"),
    Function("truth of an object", "class Maybe:\n    def __init__(self, x): self.x = x\n    def __bool__(self): return self.x > 0\n"
             "def f(x): return Maybe(x)", "assert candidate(1)\nassert not candidate(0)"),
    Function("a float of its own", "class Deg:\n    def __init__(self, x): self.x = x\n    def __float__(self): return self.x / 2\n"
             "def f(x): return Deg(x)", "import math\nassert math.isclose(float(candidate(3)), 1.5)"),
    Function("an object of the tests' class", "def f(a): return [a.twice(3), a.name, str(a)]",
             "class A:\n    name = 'a'\n    def twice(self, x): return 2 * x\n    def __str__(self): return 'A!'\n"
             "assert candidate(A()) == [6, 'a', 'A!']"),
    Function("arithmetic of the tests' class", "def f(xs):\n    total = xs[0]\n    for x in xs[1:]: total = total + x\n    return total",
             "class V:\n    def __init__(self, n): self.n = n\n    def __add__(self, o): return V(self.n + o.n)\n"
             "assert candidate([V(1), V(2), V(3)]).n == 6"),
    Function("a file in memory", "def f(file): return [line.strip() for line in file]",
             "import io\nassert candidate(io.StringIO('a\\nb\\n')) == ['a', 'b']"),
    Function("a file to write to", "def f(file): print('hello', file=file)", "import io\no = io.StringIO()\ncandidate(o)\nassert o.getvalue() == 'hello\\n'"),
    Function("a generator of random numbers", "def f(rng): return rng.randint(1, 6)", "import random\nassert candidate(random.Random(3)) == random.Random(3).randint(1, 6)"),
    # --- exceptions --------------------
    Function("arguments of an exception", "def f(x): raise ValueError('bad', x, [x])",
             "try: candidate(3)\nexcept ValueError as e: assert e.args == ('bad', 3, [3])\nelse: assert False"),
    Function("the text of a KeyError", "def f(k): return {}[k]",
             "try: candidate('a')\nexcept KeyError as e: assert str(e) == \"'a'\"\nelse: assert False, 'none'"),
    Function("an own exception below a builtin", "class Empty(LookupError):\n    pass\ndef f(): raise Empty('none')",
             "try: candidate()\nexcept IndexError: assert False\nexcept LookupError as e: assert type(e).__name__ == 'Empty' and str(e) == 'none'\nelse: assert False"),
    Function("an exception of the prompt", ERROR.replace("    '''Raise it.'''\n", "    raise EmptyError('nothing', code=7)\n"),
             "try: candidate()\nexcept EmptyError as e: assert (e.what, e.code, str(e)) == ('nothing', 7, 'nothing')\nelse: assert False", ERROR),
    Function("an exception with a text of its own", "class E(Exception):\n    def __init__(self, n): self.n = n\n    def __str__(self): return f'n={self.n}'\n"
             "def f(n): raise E(n)", "try: candidate(4)\nexcept Exception as e: assert str(e) == 'n=4' and e.n == 4\nelse: assert False"),
    Function("an error of the system", "def f(p): open(p)", "try: candidate('nowhere')\nexcept FileNotFoundError as e: assert e.errno == 2 and e.filename == 'nowhere'\nelse: assert False"),
    Function("an assertion", "def f(x):\n    assert x > 0, 'positive'\n    return x",
             "assert candidate(1) == 1\ntry: candidate(0)\nexcept AssertionError as e: assert str(e) == 'positive'\nelse: raise Exception('none')"),
    Function("an error of Unicode", "def f(b): return b.decode()", "try: candidate(b'\\xff')\nexcept UnicodeDecodeError as e: assert e.start == 0\nelse: assert False"),
    Function("an exception that is returned", "def f(x):\n    try: return int(x)\n    except ValueError as e: return e",
             "assert isinstance(candidate('x'), ValueError)\nassert candidate('4') == 4"),
    Function("a branch that must not be reached", "def f(x): return 1 // x",
             "try:\n    candidate(0)\n    assert False, 'must raise'\nexcept ZeroDivisionError:\n    pass"),
    Function("no assert but in branches", "def f(x): return x", "if candidate(3) != 3:\n    assert False\nelif candidate(4) != 4:\n    assert 0, 'four'"),
    # --- the file of a program --------------------
    Function("a byte order mark", "\ufeffdef f(x): return x", "assert candidate(1) == 1"),
    Function("its own name", "import os\ndef f(): return os.path.basename(__file__)", "assert candidate() == 'program.py'"),
    Function("its own source", "import inspect\ndef f(): return inspect.getsource(f)", "assert candidate().startswith('def f()')"),
]

SCRIPTS = [
    ("stdin as a file", "print(2 * int(open('/dev/stdin').read()))", "4\n", "8\n"),
    ("stdin as a path", "from pathlib import Path\nprint(2 * int(Path('/dev/stdin').read_text()))", "4\n", "8\n"),
    ("stdin by its number", "print(2 * int(open('/dev/fd/0').readline()))", "4\n", "8\n"),
    ("stdin in /proc", "print(2 * int(open('/proc/self/fd/0', 'rb').read()))", "4\n", "8\n"),
    ("stdin by os.open", "import os\nfd = os.open('/dev/stdin', os.O_RDONLY)\nprint(2 * int(os.read(fd, 99)))", "4\n", "8\n"),
    ("stdin by fileinput", "import fileinput\nfor line in fileinput.input('/dev/stdin'): print(2 * int(line))", "4\n", "8\n"),
    ("stdin is replaced", "import sys\nsys.stdin = open('/dev/stdin')\nprint(2 * int(input()))", "4\n", "8\n"),
    ("stdin by fstat", "import os\nprint(2 * int(os.read(0, os.fstat(0).st_size)))", "4\n", "8\n"),
    ("stdin by mmap", "import mmap\nm = mmap.mmap(0, 0, prot=mmap.PROT_READ)\nprint(2 * int(m.readline()))", "4\n", "8\n"),
    ("stdin from the middle", "import sys\nsys.stdin.seek(2)\nprint(2 * int(input()))", "1\n4\n", "8\n"),
    ("stdout as a file", "with open('/dev/stdout', 'w') as out: print(2 * int(input()), file=out)", "4\n", "8\n"),
    ("stdout is replaced", "import sys\nsys.stdout = open('/dev/stdout', 'w')\nprint(2 * int(input()))", "4\n", "8\n"),
    ("stdout in pieces", "import sys\nsys.stdout.buffer.write(b'8')\nsys.stdout.flush()\nos = open(1, 'wb', closefd=False)\nos.write(b'\\n')", "4\n", "8\n"),
    ("stdout is closed", "import sys\nprint(2 * int(input()))\nsys.stdout.close()", "4\n", "8\n"),
    ("descriptor 1 is closed", "import os\nprint(2 * int(input()), flush=True)\nos.close(1)", "4\n", "8\n"),
    ("stderr is closed", "import sys\nsys.stderr.close()\nprint(2 * int(input()))", "4\n", "8\n"),
    ("a byte order mark", "\ufeffprint(2 * int(input()))", "4\n", "8\n"),
    ("a coding line", "# -*- coding: latin-1 -*-\nprint(2 * int(input()))", "4\n", "8\n"),
    ("__file__", "import os\nos.chdir(os.path.dirname(os.path.abspath(__file__)))\nprint(2 * int(input()))", "4\n", "8\n"),
    ("a name guard", "def main(): print(2 * int(input()))\nif __name__ == '__main__': main()", "4\n", "8\n"),
    ("an own module", "open('helper.py', 'w').write('def g(x): return 2 * x')\nimport sys\nsys.path.insert(0, '.')\n"
     "import helper\nprint(helper.g(int(input())))", "4\n", "8\n"),
    ("a temporary file", "import tempfile\nwith tempfile.NamedTemporaryFile('w+') as t:\n    t.write(input())\n    t.seek(0)\n    print(2 * int(t.read()))", "4\n", "8\n"),
    ("a database in memory", "import sqlite3\nc = sqlite3.connect(':memory:')\nprint(c.execute('select 2 * ?', (int(input()),)).fetchone()[0])", "4\n", "8\n"),
    ("control characters", "print('\\x1b[31m\\x07\\x00' + input())", "4\n", "\x1b[31m\x07\x004\n"),
    ("surrogates", "import sys\nsys.stdout.buffer.write(sys.stdin.buffer.read())", "\udcff\n", "\udcff\n"),
    ("threads", "from concurrent.futures import ThreadPoolExecutor as T\nwith T(4) as t: print(sum(t.map(int, input())))", "44\n", "8\n"),
    ("asyncio", "import asyncio\nasync def main():\n    await asyncio.sleep(0)\n    print(2 * int(input()))\nasyncio.run(main())", "4\n", "8\n"),
    ("a deep recursion", "import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(1 << 27)\ndef g(n): return n and 1 + g(n - 1)\n"
     "t = threading.Thread(target=lambda: print(g(int(input()))))\nt.start()\nt.join()", "20000\n", "20000\n"),
    ("a signal of its own", "import signal\nsignal.signal(signal.SIGALRM, lambda *a: print(8))\nsignal.setitimer(signal.ITIMER_REAL, 0.01)\nsignal.pause()", "4\n", "8\n"),
    ("a warning", "import warnings\nwarnings.warn('old')\nprint(2 * int(input()))", "4\n", "8\n"),
]

POOLS = [
    ("a pool of processes", "from multiprocessing import Pool\ndef g(x): return 2 * x\nif __name__ == '__main__':\n    with Pool(2) as p: print(sum(p.map(g, [1, 3])))", "", "8\n"),
    ("an executor", "from concurrent.futures import ProcessPoolExecutor\ndef g(x): return 2 * x\nwith ProcessPoolExecutor(2) as p: print(sum(p.map(g, [1, 3])))", "", "8\n"),
    ("a process with a queue", "from multiprocessing import Process, Queue\nq = Queue()\np = Process(target=q.put, args=(8,))\np.start()\nprint(q.get())\np.join()", "", "8\n"),
    ("shared numbers", "from multiprocessing import Process, Value\nv = Value('i', 0)\ndef g():\n    with v.get_lock(): v.value += 4\nps = [Process(target=g) for _ in range(2)]\nfor p in ps: p.start()\nfor p in ps: p.join()\nprint(v.value)", "", "8\n"),
    ("shared memory", "from multiprocessing import Process, Array\na = Array('i', 4)\ndef g(): a[1] = 8\np = Process(target=g)\np.start()\np.join()\nprint(a[1])", "", "8\n"),
    ("fork and wait", "import os\nr, w = os.pipe()\nif os.fork() == 0:\n    os.write(w, b'8')\n    os._exit(0)\nos.wait()\nprint(os.read(r, 9).decode())", "", "8\n"),
]

WRONG = [
    Function("StopIteration under map", "def f(x): raise StopIteration", "assert all(map(lambda x: candidate(x) == x, [1, 2]))"),
    Function("StopIteration of an own class", "class E(StopIteration): pass\ndef f(x): raise E", "assert all(candidate(x) == x for x in map(int, '12'))\n"
             "assert list(map(candidate, [1, 2])) != [1]\nassert not list(map(candidate, [1]))[1:]"),
    Function("StopIteration under filter and zip", "def f(x): raise StopIteration(5)", "for a, b in zip(map(candidate, [1, 2]), [1, 2]): assert a == b"),
    Function("StopAsyncIteration", "def f(x): raise StopAsyncIteration", "assert all(map(lambda x: candidate(x) == x, [1]))"),
    Function("an attribute that stops", "class A:\n    def __getattr__(self, n): raise StopIteration\ndef f(x): return A()", "assert all(map(lambda x: candidate(x).value == x, [1]))"),
    Function("a branch that is reached", "def f(x): return 0", "if candidate(3) != 3:\n    assert False"),
    Function("nothing is raised", "def f(x): return 0", "try:\n    candidate(0)\n    assert False, 'must raise'\nexcept ZeroDivisionError: pass"),
    Function("a default that is kept", "def f(x, xs=[]):\n    xs.append(x)\n    return xs", "a = candidate(1)\ncandidate(2)\nassert a == [1]"),
    Function("rows that are one", "def f(n): return [[0] * n] * n", "m = candidate(2)\nm[0][0] = 1\nassert m == [[1, 0], [0, 0]]"),
    Function("a copy instead of the argument", "def f(x): return sorted(x)", "x = [2, 1]\nassert candidate(x) is x"),
    Function("the argument instead of a copy", "def f(x): return x", "x = [1]\ny = candidate(x)\ny.append(2)\nassert x == [1]"),
    Function("an object that equals all", "class A:\n    def __eq__(self, o): return True\n    def __ne__(self, o): return False\n    __hash__ = None\ndef f(x): return A()",
             "assert candidate(3) == 6\nassert 6 == candidate(3)"),
    Function("an object that is in all", "class A:\n    def __eq__(self, o): return True\n    __hash__ = None\n    def __contains__(self, o): return True\ndef f(x): return A()",
             "assert 6 in candidate(3)"),
    Function("an object that is near all", "class A:\n    def __sub__(self, o): return 0\n    __rsub__ = __sub__\n    def __abs__(self): return 0\ndef f(x): return A()",
             "assert abs(candidate(3) - 6) < 1e-6"),
    Function("an object below all", "class A:\n    def __lt__(self, o): return True\n    __gt__ = __le__ = __ge__ = __lt__\ndef f(x): return A()", "assert 5 < candidate(3) < 7"),
    Function("an object that starts with all", "class A:\n    def __getattr__(self, n): return lambda *a: True\ndef f(x): return A()", "assert candidate(3).startswith('six')"),
    Function("a set below all", "class A(set):\n    def issubset(self, o): return True\nclass B:\n    def issubset(self, o): return True\ndef f(x): return B()", "assert candidate(3).issubset({6})"),
    Function("a prompt's class that equals all", POINT.replace("    y: int\n", "    y: int\n    def __eq__(self, o): return True\n").replace("    '''Return a point.'''\n", "    return Point(0, 0)\n"),
             "assert candidate(1, 2) == Point(1, 2)", POINT),
    Function("looks into a function it is given", "def f(g):\n    for name in ('__globals__', '__closure__', '__code__', '__defaults__'):\n        try: return getattr(g, name)['EXPECTED']\n"
             "        except Exception: pass\n    return 0", "globals()['EXPECTED'] = 6\nassert candidate(lambda x: x) == 6"),
    Function("looks into a generator it is given", "def f(g):\n    try: return g.gi_frame.f_globals['EXPECTED']\n    except Exception: return 0",
             "globals()['EXPECTED'] = 6\nassert candidate(x for x in [1]) == 6"),
    Function("looks into an object it is given", "def f(a):\n    for name in ('__class__', '__init__', '_secret', '__dict__'):\n        try:\n            v = getattr(a, name)\n            if v == 6: return v\n"
             "            return v.__globals__['EXPECTED']\n        except Exception: pass\n    return 0",
             "globals()['EXPECTED'] = 6\nclass A:\n    def __init__(self): self._secret = 6\nassert candidate(A()) == 6"),
    Function("an empty generator", "def f(x):\n    return\n    yield", "assert list(candidate(3)) == [6]"),
    Function("ends for a call", "import json, os\nbody = json.dumps(['ended', [[None], []]]).encode()\ndef f(x):\n    os.write(4, len(body).to_bytes(4, 'big') + body)\n    return 1",
             "assert all(map(lambda x: candidate(x) == 6, [3]))"),
    Function("infinity", "def f(x): return float('inf')", "assert abs(candidate(3) - 6) < 1e-6"),
]
