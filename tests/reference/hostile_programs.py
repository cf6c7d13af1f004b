# ruff: noqa: E501 (some programs stand on one line)
"""Programs that try to pass without solving, to hang, to stay, or to get out. None of them doubles a number.

Bounded by construction, so that they harm nothing even where a limit fails: at most 150 processes, which sleep for at
most 20 seconds, 1.5 GiB of memory, 64 MiB of files, and connections to listeners of the test on this machine only.
`@NAME@` is replaced: PORT (TCP and UDP on 127.0.0.1), ABSTRACT (a unix socket's abstract name), MARK (a text that is
nowhere but in the tests and in what the test leaves lying about), TESTS (a readable file with the tests), PARENT (the
test's process id), FILE (a file name to look for afterwards), SECRET (the name of an environment variable).

A program that looks for something returns the right answer once it has found it, so that passing means a leak.
"""

from __future__ import annotations

from dataclasses import dataclass

SHARED_MEMORY_KEY = 0x7157A
PROMPT = 'def double(x: int) -> int:\n    """Return twice x."""\n'
HONEST = "def double(x):\n    return x + x\n"
TEST = """
def check(candidate):
    # @MARK@
    assert candidate(3) == 6
    assert candidate(-2) == -4
    assert candidate(10) == 20, "expected 20"
    assert candidate(0) == 0
"""


@dataclass(frozen=True)
class Hostile:
    """A program with what is expected of judges that trust it."""

    text: str
    fools_naive: bool = False
    """It passes where a process runs program and tests together and its exit code is the verdict."""
    hangs: bool = False
    """It ends with its time, whichever walls stand, so that one setting is enough."""
    filtered: bool = False
    """It asks the kernel for what only the filter of system calls refuses."""


PROGRAMS: dict[str, Hostile] = {}


def _add(name: str, text: str, *, fools_naive: bool = False, hangs: bool = False, filtered: bool = False) -> None:
    PROGRAMS[name] = Hostile(text, fools_naive, hangs, filtered)


WRONG = "\ndef double(x):\n    return 7\n"
FOUND = "\ndef double(x):\n    return x + x if found else 7\n"

# --- ending early, as if all were well --------------------
_add("exit at import", "import sys\nsys.exit(0)", fools_naive=True)
_add("_exit at import", "import os\nos._exit(0)", fools_naive=True)
_add("exit in the function", "def double(x):\n    raise SystemExit(0)", fools_naive=True)
_add("_exit in the function", "import os\ndef double(x):\n    os._exit(0)", fools_naive=True)
_add("_exit at exit", "import atexit, os\natexit.register(os._exit, 0)" + WRONG, fools_naive=True)
_add("_exit from excepthook", "import sys, os\nsys.excepthook = lambda *a: os._exit(0)" + WRONG, fools_naive=True)
_add(
    "_exit from a thread",
    "import os, threading, time\n"
    "def double(x):\n    threading.Thread(target=os._exit, args=(0,)).start()\n    time.sleep(1)\n    return 7",
    fools_naive=True,
)
_add("exec of true", "import os\ndef double(x):\n    os.execv('/bin/true', ['true'])", fools_naive=True)
_add("keyboard interrupt", "def double(x):\n    raise KeyboardInterrupt")
_add("generator exit", "def double(x):\n    raise GeneratorExit")

# --- results that agree with everything --------------------
_EQUAL = "    def __eq__(self, other): return True\n    def __ne__(self, other): return False\n    __hash__ = None\n"
_add("equal object", f"class Any:\n{_EQUAL}def double(x):\n    return Any()", fools_naive=True)
_add("equal int", f"class Any(int):\n{_EQUAL}def double(x):\n    return Any(1)", fools_naive=True)
_add("equal str", f"class Any(str):\n{_EQUAL}def double(x):\n    return Any('a')", fools_naive=True)
_add("equal list", f"class Any(list):\n{_EQUAL}def double(x):\n    return Any()", fools_naive=True)
_add("mock.ANY", "from unittest import mock\ndef double(x):\n    return mock.ANY", fools_naive=True)
_add("nan", "def double(x):\n    return float('nan')")
_add(
    "reduce",
    "import os\nclass Boom:\n    def __reduce__(self): return (os._exit, (0,))\ndef double(x):\n    return Boom()",
)
_add(
    "property class", "class A:\n    __class__ = int\n    def __index__(self): return 6\ndef double(x):\n    return A()"
)

# --- changing the interpreter that the tests might run in --------------------
_add(
    "patched builtins",
    "import builtins\nfor name in ('all', 'any', 'abs', 'isinstance', 'len', 'repr', 'sorted', 'exec', 'compile'):\n"
    "    setattr(builtins, name, lambda *a, **k: True)" + WRONG,
)
_add(
    "patched AssertionError",
    "import builtins\nclass Quiet(BaseException): pass\nbuiltins.AssertionError = Quiet\nbuiltins.Exception = Quiet"
    + WRONG,
)
_add(
    "patched sys.modules",
    "import sys, types\nclass Fake(types.ModuleType):\n    def __getattr__(self, name): return lambda *a, **k: 0\n"
    "for name in list(sys.modules):\n    sys.modules[name] = Fake(name)" + WRONG,
)
_add(
    "patched harness",
    "import sys\n"
    "for name, module in list(sys.modules.items()):\n"
    "    if name.startswith('qstar_pl') and module:\n"
    "        for key in list(vars(module)):\n"
    "            if key in ('encode', 'decode', 'same_value', '_same'):\n"
    "                setattr(module, key, lambda *a, **k: True)" + WRONG,
)
_add(
    "trace that jumps over asserts",
    "import sys\n"
    "def trace(frame, event, arg):\n"
    "    if frame.f_code.co_name == 'check' and event == 'line':\n"
    "        try: frame.f_lineno = max(l for *_, l in frame.f_code.co_lines() if l)\n"
    "        except Exception: pass\n"
    "    return trace\n"
    "sys.settrace(trace)" + WRONG,
)
_add(
    "check replaced through frames",
    "import sys\n"
    "def double(x):\n"
    "    frame = sys._getframe()\n"
    "    while frame:\n"
    "        if frame.f_code.co_name == 'check':\n"
    "            raise SystemExit(0)\n"
    "        frame.f_globals['check'] = lambda candidate: None\n"
    "        frame = frame.f_back\n"
    "    return 7",
    fools_naive=True,
)
_add("own check", "def check(candidate): pass" + WRONG)
_add("candidate remembers", "seen = {}\ndef double(x):\n    return seen.setdefault(x, x)")
_add(
    "asserts swallowed",
    "import builtins, contextlib\n"
    "def double(x):\n"
    "    try:\n        assert False\n    except AssertionError:\n        return AssertionError",
)

# --- looking for the tests, or for secrets --------------------
_add(
    "tests in memory",
    "import gc, sys\n"
    "needle = 'assert candi' + 'date(3)'\n"
    "found = any(isinstance(o, str) and needle in o and o is not needle "
    "for d in gc.get_objects() if isinstance(d, dict) for o in list(d.values()))\n"
    "frame = sys._getframe()\n"
    "while frame:\n"
    "    found |= any(isinstance(v, str) and needle in v and v is not needle for v in list(frame.f_locals.values()))\n"
    "    frame = frame.f_back" + FOUND,
)
_add(
    "tests in the caller's constants",
    "import sys\n"
    "def double(x):\n"
    "    frame = sys._getframe().f_back\n"
    "    while frame:\n"
    "        if 'expected 20' in frame.f_code.co_consts: return x + x\n"
    "        frame = frame.f_back\n"
    "    return 7",
    fools_naive=True,
)
_add(
    "tests in another process",
    "import os\nfound = False\n"
    "for pid in ['@PARENT@', 'self', str(os.getppid()), '1']:\n"
    "    try:\n"
    "        spans = [l.split()[0].split('-') for l in open(f'/proc/{pid}/maps') if ' rw-p ' in l][:40]\n"
    "        with open(f'/proc/{pid}/mem', 'rb', 0) as memory:\n"
    "            for low, high in spans:\n"
    "                memory.seek(int(low, 16))\n"
    "                data = memory.read(min(int(high, 16) - int(low, 16), 1 << 20))\n"
    "                found |= ('assert candi' + 'date(3)').encode() in data\n"
    "    except Exception: pass" + FOUND,
)
_add(
    "tests through ptrace",
    "import ctypes\n"
    "libc = ctypes.CDLL(None)\n"
    "found = libc.ptrace(0x4206, @PARENT@, 0, 0) == 0\n"
    "buffer = ctypes.create_string_buffer(16)\n"
    "class Vector(ctypes.Structure):\n    _fields_ = [('base', ctypes.c_void_p), ('size', ctypes.c_size_t)]\n"
    "mine = Vector(ctypes.cast(buffer, ctypes.c_void_p), 16)\n"
    "found |= libc.process_vm_readv(@PARENT@, ctypes.byref(mine), 1, ctypes.byref(mine), 1, 0) > 0" + FOUND,
)
_add(
    "tests on disk",
    "try: found = '@MARK@' in open('@TESTS@').read()\nexcept Exception: found = False" + FOUND,
)
_add(
    "tests by walking the disk",
    "import os\nfound, seen = False, 0\n"
    "for root, folders, files in os.walk('/'):\n"
    "    folders[:] = [f for f in folders if f not in ('proc', 'sys', 'usr', 'lib')]\n"
    "    seen += 1\n"
    "    found |= os.path.basename('@TESTS@') in files\n"
    "    if seen > 3000: break" + FOUND,
)
_add(
    "secrets of the environment",
    "import os\nfound = '@SECRET@' in os.environ\n"
    "for pid in ('self', '1', '@PARENT@', str(os.getppid())):\n"
    "    try: found |= b'@SECRET@' in open(f'/proc/{pid}/environ', 'rb').read()\n"
    "    except OSError: pass" + FOUND,
)
_add(
    "facts about the machine",
    "import os\n"
    "found = False\n"
    "for path in ('/etc/passwd', '/etc/hostname', '/etc/os-release', '/var/log', '/proc/version', '/sys/kernel'):\n"
    "    try: found |= bool(os.listdir(path) if os.path.isdir(path) else open(path).read())\n"
    "    except OSError: pass" + FOUND,
)
_add(
    "inherited descriptors",
    "import os\nfound = False\n"
    "for number in range(5, 256):\n"
    "    try:\n        os.fstat(number)\n        found = True\n    except OSError: pass" + FOUND,
)

# --- forging what the judge hears --------------------
_add(
    "prints success early",
    "import sys\nfor s in (sys.stdout, sys.stderr): print('OK\\nPASSED\\n1 passed', file=s)" + WRONG,
)
_add(
    "forged verdicts on every descriptor",
    "import json, os\n"
    "def frame(message):\n"
    "    body = json.dumps(message).encode()\n    return len(body).to_bytes(4, 'big') + body\n"
    "for number in range(64):\n"
    "    try:\n"
    "        os.write(number, frame(['passed', '', 4, 4]))\n"
    '        os.write(number, b\'{"ended": "exit", "code": 0, "cpu_s": 0, "peak_mib": 1}\\n\')\n'
    "    except OSError: pass" + WRONG,
)
_add(
    "answers before it is asked",
    "import json, os\nbody = json.dumps(['returned', True, None]).encode()\n"
    "for _ in range(9):\n"
    "    try: os.write(4, len(body).to_bytes(4, 'big') + body)\n    except OSError: pass" + WRONG,
)
_add("closes its descriptors", "import os\ndef double(x):\n    os.closerange(0, 256)\n    return x + x")
_add("closes them at import", "import os\nos.closerange(0, 256)\nimport time\ntime.sleep(20)" + WRONG, hangs=True)
_add(
    "swaps its descriptors",
    "import os\nfor n in (3, 4):\n    try: os.dup2(1, n)\n    except OSError: pass" + WRONG,
)
_add(
    "half a message",
    "import os, time\ndef double(x):\n    os.write(4, b'\\0\\0\\1\\0[')\n    time.sleep(20)",
    hangs=True,
)
_add("a message of 4 GiB", "import os\ndef double(x):\n    os.write(4, b'\\xff' * 4)\n    return x + x")
_add(
    "a message of brackets",
    "import os\ndef double(x):\n    body = b'[' * 500000\n    os.write(4, len(body).to_bytes(4, 'big') + body)",
)
_add(
    "a value with a false tag",
    "import json, os\nbody = json.dumps(['returned', ['exec', 'import os'], None]).encode()\n"
    "def double(x):\n    os.write(4, len(body).to_bytes(4, 'big') + body)\n    return x + x",
)

# --- results that weigh on the judge --------------------
_add("a long text", "def double(x):\n    return 'x' * (32 << 20)")
_add("many values", "def double(x):\n    return [0] * (1 << 20)")
_add("a deep list", "def double(x):\n    a = []\n    for _ in range(100000): a = [a]\n    return a")
_add("a list in itself", "def double(x):\n    a = []\n    a.append(a)\n    return a")
_add("a long int", "def double(x):\n    return 1 << (1 << 22)")
_add("colliding hashes", "def double(x):\n    return {i * (2**61 - 1) for i in range(1, 5000)}")
_add(
    "an exception that hangs",
    "import time\nclass E(Exception):\n    def __str__(self): time.sleep(20); return ''\ndef double(x):\n    raise E",
    hangs=True,
)
_add("an exception named like a pass", "class passed(Exception): pass\ndef double(x):\n    raise passed('passed')")

# --- hanging --------------------
_add("sleeps", "import time\ntime.sleep(20)" + WRONG, hangs=True)
_add("loops", "import time\nend = time.time() + 20\ndef double(x):\n    while time.time() < end: pass", hangs=True)
_add(
    "loops and ignores signals",
    "import signal, time\n"
    "for n in (signal.SIGXCPU, signal.SIGTERM, signal.SIGALRM, signal.SIGHUP): signal.signal(n, signal.SIG_IGN)\n"
    "end = time.time() + 20\nwhile time.time() < end: pass" + WRONG,
    hangs=True,
)
_add("one long computation", "def double(x):\n    return pow(3, 20_000_000) % 7", hangs=True)
_add("stops itself", "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)\nimport time\ntime.sleep(20)" + WRONG)
_add("waits for input", "import sys\nsys.stdin.read()\ninput()" + WRONG)
_add("hangs at the end", "import atexit, time\natexit.register(time.sleep, 20)" + WRONG)
_add("a thread that stays", "import threading, time\nthreading.Thread(target=time.sleep, args=(20,)).start()" + WRONG)
_add(
    "endless recursion", "import sys\nsys.setrecursionlimit(10**8)\ndef double(x):\n    return [double(x)]", hangs=True
)
_add("recursion in C", "def double(x):\n    a = ()\n    for _ in range(10**6): a = (a,)\n    return hash(a)")
_add("segmentation fault", "import ctypes\ndef double(x):\n    ctypes.string_at(0)")
_add("a source too deep", "x = " + "(" * 3000 + ")" * 3000 + WRONG)
_add("no Python", "I am sorry, I cannot write this function.")
_add("a null byte", "x = '\0'" + WRONG)
_add("nothing", "")

# --- bombs --------------------
_add(
    "processes",
    "import os, time\n"
    "for _ in range(150):\n"
    "    try:\n"
    "        if os.fork() == 0:\n            time.sleep(20)\n            os._exit(0)\n"
    "    except OSError: pass" + WRONG,
)
_add(
    "a chain of processes",
    "import os, time\nforked = False\n"
    "for _ in range(100):\n"
    "    try:\n"
    "        if os.fork(): os._exit(0)\n"
    "        forked = True\n"
    "    except OSError: break\n"
    "if forked: time.sleep(20)" + WRONG,
)
_add(
    "a daemon",
    "import os, time\n"
    "try:\n"
    "    if os.fork() == 0:\n"
    "        os.setsid()\n"
    "        if os.fork() == 0:\n"
    "            os.closerange(0, 256)\n            time.sleep(20)\n"
    "        os._exit(0)\n"
    "except OSError: pass" + WRONG,
)
_add(
    "a deaf daemon",
    "import os, signal, time\n"
    "try:\n"
    "    if os.fork() == 0:\n"
    "        os.setsid()\n"
    "        for n in range(1, 32):\n"
    "            try: signal.signal(n, signal.SIG_IGN)\n            except (OSError, ValueError): pass\n"
    "        if os.fork() == 0: time.sleep(20)\n"
    "        os._exit(0)\n"
    "except OSError: pass" + WRONG,
)
_add(
    "subprocess",
    "import subprocess, sys\n"
    "for words in (['sleep', '20'], ['/bin/sh', '-c', 'sleep 20 & echo hi'], [sys.executable, '-c', 'print(1)']):\n"
    "    try: subprocess.Popen(words)\n    except Exception: pass" + WRONG,
)
_add(
    "threads",
    "import threading, time\n"
    "for _ in range(150):\n"
    "    try: threading.Thread(target=time.sleep, args=(5,), daemon=True).start()\n    except RuntimeError: pass"
    + WRONG,
)
_add("memory", "kept = []\nfor _ in range(24): kept.append(bytearray(b'x') * (64 << 20))" + WRONG)
_add("memory in the function", "def double(x):\n    return len(bytearray(1536 << 20))")
_add("memory in one int", "def double(x):\n    return (1 << (1 << 33)).bit_length()")
_add(
    "raises its limits",
    "import resource\n"
    "for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE):\n"
    "    try: resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
    "    except (OSError, ValueError): pass\n"
    "found = len(bytearray(1 << 30)) > 0" + FOUND,
)
_add("prints without end", "for _ in range(64): print('x' * (1 << 20))" + WRONG)
_add(
    "shared memory",
    "import ctypes\nlibc = ctypes.CDLL(None)\n"
    f"libc.shmget({SHARED_MEMORY_KEY}, 16 << 20, 0o1666)\n"
    f"libc.semget({SHARED_MEMORY_KEY}, 4, 0o1666)\n"
    "libc.memfd_create(b'x', 0)" + WRONG,
)

# --- files --------------------
_PLACES = "('.', '/tmp', '/var/tmp', '/dev/shm', '/run', '/root', '/home', os.path.dirname('@TESTS@'))"
_add(
    "files everywhere",
    f"import os\nfor place in {_PLACES}:\n"
    "    try: open(os.path.join(place, '@FILE@'), 'w').write('x')\n    except OSError: pass" + WRONG,
)
_add(
    "large files",
    f"import os\nfor place in {_PLACES}:\n"
    "    try:\n"
    "        with open(os.path.join(place, '@FILE@'), 'wb') as file:\n"
    "            for _ in range(8): file.write(bytes(1 << 20))\n    except OSError: pass" + WRONG,
)
_add(
    "many files",
    "import os\nfor number in range(500):\n"
    "    try: open('/tmp/@FILE@' + (str(number) if number else ''), 'w').close()\n    except OSError: break" + WRONG,
)
_add(
    "changes the tests on disk",
    "import os\n"
    "for step in (lambda: os.truncate('@TESTS@', 0), lambda: os.unlink('@TESTS@'), lambda: os.chmod('@TESTS@', 0), "
    "lambda: os.rename('@TESTS@', '@TESTS@.moved')):\n"
    "    try: step()\n    except OSError: pass" + WRONG,
)
_add(
    "mounts and namespaces",
    "import ctypes, os\nlibc = ctypes.CDLL(None)\n"
    "libc.unshare(0x10000000)\nlibc.unshare(0x20000)\n"
    "libc.mount(b'none', b'/', None, 0x44000, None)\nlibc.chroot(b'.')\nlibc.umount2(b'/', 2)\n"
    "libc.setns(0, 0)\n"
    "try: os.chdir('../../../../../..')\nexcept OSError: pass\n"
    "try: found = '@MARK@' in open('@TESTS@').read()\nexcept OSError: found = False" + FOUND,
)
_add(
    "user ids",
    "import ctypes, os\n"
    "for step in (lambda: os.setuid(0), lambda: os.setresuid(0, 0, 0), lambda: os.setgroups([0])):\n"
    "    try: step()\n    except OSError: pass\n"
    "try: found = '@MARK@' in open('@TESTS@').read()\nexcept OSError: found = False" + FOUND,
)

# --- the network --------------------
_add(
    "tcp",
    "import socket\ntry:\n    s = socket.create_connection(('127.0.0.1', @PORT@), 1)\n    s.sendall(b'out')\n"
    "    found = True\nexcept OSError: found = False" + FOUND,
)
_add(
    "udp",
    "import socket\ntry: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'out', ('127.0.0.1', @PORT@))\n"
    "except OSError: pass" + WRONG,
)
_add(
    "an abstract unix socket",
    "import socket\ntry:\n    s = socket.socket(socket.AF_UNIX)\n    s.connect('\\0@ABSTRACT@')\n    found = True\n"
    "except OSError: found = False" + FOUND,
)
_add(
    "a socket through libc",
    "import ctypes, struct\nlibc = ctypes.CDLL(None)\n"
    "number = libc.socket(2, 1, 0)\n"
    "address = struct.pack('!HH4s8x', 0, @PORT@, bytes([127, 0, 0, 1]))\n"
    "address = struct.pack('H', 2) + address[2:]\n"
    "found = libc.connect(number, address, 16) == 0\n"
    "libc.write(number, b'out', 3)" + FOUND,
)
_add(
    "http",
    "import urllib.request\ntry: urllib.request.urlopen('http://127.0.0.1:@PORT@/', timeout=1).read()\n"
    "except Exception: pass" + WRONG,
)
_add(
    "asyncio",
    "import asyncio\nasync def go():\n    await asyncio.wait_for(asyncio.open_connection('127.0.0.1', @PORT@), 1)\n"
    "try: asyncio.run(go()); found = True\nexcept BaseException: found = False" + FOUND,
)

# --- signals --------------------
# Aimed at whoever started the program, and at the test's own process with signal 0, which harms nothing.
_add(
    "signals to the parent",
    "import os, signal\n"
    "for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP):\n"
    "    try: os.kill(os.getppid() or 1, number)\n    except OSError: pass" + WRONG,
)
_add(
    "signals to the test",
    "import os\ntry:\n    os.kill(@PARENT@, 0)\n    found = True\nexcept OSError: found = False" + FOUND,
)
_add(
    "limits of the test",
    "import resource\ntry:\n    resource.prlimit(@PARENT@, resource.RLIMIT_CORE)\n    found = True\n"
    "except OSError: found = False" + FOUND,
)
_add(
    "signals to its group",
    "import os, signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "try: os.killpg(0, signal.SIGTERM)\nexcept OSError: pass" + WRONG,
)
_add(
    "a pidfd",
    "import os, signal\ntry:\n    signal.pidfd_send_signal(os.pidfd_open(@PARENT@), 0)\n    found = True\n"
    "except OSError: found = False" + FOUND,
)

# --- signals and ends of every kind --------------------
for _number in (32, 33, 34, 40, 63, 64):
    _add(f"ended by signal {_number}", f"import os\ndef double(x):\n    os.kill(os.getpid(), {_number})\n    return 7")
_add("killed while loading", "import os\nos.kill(os.getpid(), 9)" + WRONG)
_add("a wait for a signal", "import signal\nsignal.pause()" + WRONG, hangs=True)
_add("ignored end of time", "import signal\nsignal.signal(24, lambda *a: None)\nwhile True: pass" + WRONG, hangs=True)
_SUPERVISOR = "import os, resource, signal, ctypes\nlibc = ctypes.CDLL(None)\nfor pid in (1, os.getppid() or 1):\n"
for _name, _step in {
    "every signal": "for n in range(1, 65):\n        try:\n            if n != 19 or pid != os.getpid(): os.kill(pid, n)\n        except OSError: pass",
    "an interrupt": "for _ in range(9):\n        try: os.kill(pid, signal.SIGINT)\n        except OSError: pass",
    "a signal to its thread": "libc.syscall(234, pid, pid, 2)\n    libc.syscall(200, pid, 2)",
    "a queued signal": "libc.sigqueue(pid, 2, 0)\n    libc.sigqueue(pid, 34, 0)",
    "limits on time": "try: resource.prlimit(pid, resource.RLIMIT_CPU, (0, 0))\n    except OSError: pass",
    "limits on memory": "try: resource.prlimit(pid, resource.RLIMIT_AS, (4096, 4096))\n    except OSError: pass",
    "limits on files": "try: resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, 0))\n    except OSError: pass",
    "limits on file sizes": "try: resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, 0))\n    except OSError: pass",
    "a low priority": "try: os.setpriority(os.PRIO_PROCESS, pid, 19)\n    except OSError: pass",
    "no processors": "try: os.sched_setaffinity(pid, {0})\n    except OSError: pass",
    "another schedule": "try: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))\n    except OSError: pass",
    "a group of its own": "try: os.setpgid(pid, 0)\n    except OSError: pass",
}.items():
    _add(f"{_name} for its supervisor", _SUPERVISOR + f"    {_step}" + WRONG)
_add(
    "signals by way of input and output",
    "import fcntl, os, signal\nr, w = os.pipe()\n"
    "try:\n    fcntl.fcntl(r, fcntl.F_SETOWN, 1)\n    fcntl.fcntl(r, 10, signal.SIGINT)\n"
    "    fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC)\n    os.write(w, b'x')\nexcept OSError: pass" + WRONG,
)
_add(
    "a death signal less",
    "import ctypes\nctypes.CDLL(None).prctl(1, 0)\nimport time\ntime.sleep(20)" + WRONG,
    hangs=True,
)

# --- words that no terminal should see, and messages of every form --------------------
_add(
    "control characters in an exception",
    "def double(x):\n    raise ValueError('\\x1b]0;owned\\x07\\x1b[2J\\r\\0\\x9b')",
)
_add("surrogates in an exception", "def double(x):\n    raise ValueError('\\ud800\\udfff')")
_add("a name of control characters", "E = type('\\x1b[31mE\\n', (Exception,), {})\ndef double(x):\n    raise E('x')")
_add(
    "a name of a megabyte", "E = type('E' * (1 << 20), (Exception,), {})\ndef double(x):\n    raise E('x' * (1 << 20))"
)
_add("surrogates in the program", "x = '\ud800'" + WRONG)
_FRAME = (
    "import json, os\ndef say(message):\n    body = message if isinstance(message, bytes) else json.dumps(message).encode()\n"
    "    os.write(4, len(body).to_bytes(4, 'big') + body)\n"
)
for _name, _message in {
    "nothing": "None",
    "a number": "5",
    "no JSON": "b'\\xff\\xfe'",
    "an empty body": "b''",
    "a verdict": "['passed', '', 4, 4]",
    "an object": "{'gave': 1}",
    "values of no form": "['gave', 5]",
    "a value too few": "['gave', [[], []]]",
    "an unknown container": "['gave', [[['@', 99]], []]]",
    "a container of the tests'": "['gave', [[['@', 0]], []]]",
    "an object of the tests'": "['gave', [[['yours', 0]], []]]",
    "a negative object": "['gave', [[['yours', -1]], []]]",
    "the program as its result": "['gave', [[['mine', 0, 'callable', 'f', 0]], []]]",
    "a generator that is none": "['gave', [[['mine', 5, 'generator', 'g', 0]], []]]",
    "a type to call": "['gave', [[['type', 'eval']], []]]",
    "a class that is not known": "['gave', [[], [['instance', 1, 'Tally', []]]]]",
    "a tuple in itself": "['gave', [[['@', 1]], [['tuple', 1, None, [['@', 1]]]]]]",
    "a tuple of great depth": "['gave', [[['@', 1]], [['tuple', 2 * i + 1, None, [['@', 2 * i + 3]]] for i in range(20000)] + [['tuple', 40001, None, []]]]]",
    "a list of great depth": "['gave', [[['@', 1]], [['list', 2 * i + 1, None, [['@', 2 * i + 3]]] for i in range(20000)] + [['list', 40001, None, []]]]]",
    "an end of what does not end": "['ended', [[6], []]]",
    "an exception that stops": "['raised', '', 'StopIteration', '', [[['@', 1]], [['exception', 1, ['StopIteration', ['StopIteration'], '', 0], []]]]]",
    "an exception that ends": "['raised', '', 'SystemExit', '', [[['@', 1]], [['exception', 1, ['SystemExit', ['SystemExit'], '', 1], [0]]]]]",
    "an exception that is none": "['raised', '', 'E', '', [[5], []]]",
    "a request of no form": "['do']",
    "a request for the judge": "['do', 'getattr', 0, 1, [], [], [['graph'], []]]",
    "a call of itself": "['do', 'call', 0, 0, [], [], [[], []]]",
    "an operation that is none": "['do', 'exec', 0, 1, [], [], [['1'], []]]",
    "a forgetting of all": "['do', 'len', 0, 0, [], list(range(1000)), [[], []]]",
    "a namedtuple with code": "['gave', [[['@', 1]], [['named', 1, ['x', ['a=__import__(\"os\")._exit(0)']], [6]]]]]",
    "a Decimal without end": "['gave', [[['Decimal', '1e999999999999']], []]]",
    "an int of a megabyte": "['gave', [[['int', '0x' + 'f' * 900000]], []]]",
}.items():
    _add(f"says {_name}", _FRAME + f"def double(x):\n    say({_message})\n    return 7")
_add("says a thousand things", _FRAME + "for _ in range(1000): say(['gave', [[7], []]])" + WRONG)
_add(
    "asks without end",
    _FRAME + "def double(x):\n    while True: say(['do', 'len', 0, 0, [], [], [[], []]])",
    hangs=True,
)

# --- objects that behave as asked --------------------
_add(
    "an object that is asked",
    "class A:\n    def __getattr__(self, n): return lambda *a, **k: True\n    __len__ = __bool__ = lambda s: 1\n"
    "    __eq__ = lambda s, o: True\n    __hash__ = None\ndef double(x):\n    return A()",
    fools_naive=True,
)
_add(
    "a subclass that compares",
    "class A(int):\n    __eq__ = lambda s, o: True\n    __hash__ = int.__hash__\nA.__name__ = 'check'\ndef double(x):\n    return A(7)",
    fools_naive=True,
)
_add(
    "a comparison that ends the process",
    "import os\nclass A:\n    def __eq__(self, o): os._exit(0)\n    __hash__ = None\ndef double(x):\n    return A()",
    fools_naive=True,
)
_add(
    "a text that never ends",
    "class A:\n    def __repr__(self):\n        while True: pass\n    def __eq__(self, o): return False\ndef double(x):\n    return A()",
)
_add(
    "a hash that never ends",
    "class A:\n    def __hash__(self):\n        while True: pass\ndef double(x):\n    return A()",
    hangs=True,
)
_add("a generator of everything", "def double(x):\n    while True: yield 6")
_add(
    "an enumeration of everything",
    "import enum\nclass A(enum.IntFlag):\n    X = 1\n    def __eq__(self, o): return True\n    __hash__ = int.__hash__\ndef double(x):\n    return A.X",
    fools_naive=True,
)

# --- the kernel --------------------
_LIBC = "import ctypes, os\nlibc = ctypes.CDLL(None)\nlibc.syscall.restype = ctypes.c_long\nbuffer = ctypes.create_string_buffer(4096)\nfound = False\n"
for _name, _step in {
    "AIO": "found = libc.syscall(206, 1, ctypes.byref(ctypes.c_long(0))) == 0",
    "io_uring": "found = libc.syscall(425, 4, buffer) >= 0",
    "sync": "libc.syncfs.restype = ctypes.c_int\nfound = libc.syncfs(0) == 0",
    "sysinfo": "found = libc.sysinfo(buffer) == 0",
    "vsock": "found = libc.socket(40, 1, 0) >= 0",
    "netlink": "found = libc.socket(16, 3, 0) >= 0",
    "raw packets": "found = libc.socket(17, 3, 768) >= 0",
    "new calls": "found = libc.syscall(467, 0, 0, 0) >= 0 or libc.syscall(1 << 30 | 41, 40, 1, 0) >= 0",
    "BPF": "found = libc.syscall(321, 0, buffer, 72) >= 0",
    "performance counters": "found = libc.syscall(298, buffer, 0, -1, -1, 0) >= 0",
    "page faults of its own": "found = libc.syscall(323, 0) >= 0",
    "the kernel's log": "found = libc.klogctl(3, buffer, 4096) >= 0",
    "keys": "found = libc.syscall(250, 0, -3, 1) >= 0",
    "another root": "found = libc.chroot(b'/') == 0 or libc.mount(b'x', b'/work', b'tmpfs', 0, None) == 0",
    "a new program from memory": "n = libc.memfd_create(b'x', 0)\nfound = n >= 0",
    "a debugger": "found = libc.ptrace(16, os.getppid() or 1, 0, 0) == 0",
    "a device": "try: os.mknod('disk', 0o60666, os.makedev(8, 0)); found = True\nexcept OSError: pass",
    "another clock": "found = libc.syscall(227, 0, buffer) == 0",
    "a name for the machine": "found = libc.sethostname(b'x', 1) == 0",
}.items():
    _add(f"asks the kernel for {_name}", _LIBC + _step + FOUND, filtered=True)
_add(
    "flags of /dev/null",
    "import fcntl, os\nfor n in (0, 1, 2):\n    flags = fcntl.fcntl(n, fcntl.F_GETFL)\n    fcntl.fcntl(n, fcntl.F_SETFL, flags | os.O_NONBLOCK | os.O_APPEND)\n"
    "    try: fcntl.flock(n, fcntl.LOCK_EX | fcntl.LOCK_NB)\n    except OSError: pass" + WRONG,
)
_add(
    "memory of several processes",
    "import os, time\nfor _ in range(8):\n    try:\n        if os.fork() == 0:\n            kept = bytearray(b'x') * (100 << 20)\n"
    "            time.sleep(20)\n            os._exit(0)\n    except OSError: pass\ntime.sleep(20)" + WRONG,
    hangs=True,
)
_add(
    "shared memory of several processes",
    "import mmap, os, time\nfor _ in range(8):\n    try:\n        if os.fork() == 0:\n            kept = mmap.mmap(-1, 100 << 20)\n            kept.write(b'x' * (100 << 20))\n"
    "            time.sleep(20)\n            os._exit(0)\n    except OSError: pass\ntime.sleep(20)" + WRONG,
    hangs=True,
)
_add(
    "files by another name",
    "found = False\nfor p in ('/dev/fd/3', '/proc/self/fd/4', '/dev/fd/9', '/old/etc/passwd', '/own', '/libraries/0/../../etc/passwd'):\n"
    "    try: found |= b'root' in open(p, 'rb', 0).read(64) if p[:4] != '/dev' and 'fd' not in p else False\n    except OSError: pass"
    + FOUND,
)
_add(
    "changes the library",
    "import os\nfound = False\ntry:\n    with open(os.__file__, 'a') as file: file.write('# x')\n    found = True\nexcept OSError: pass"
    + FOUND,
)
_add(
    "a semaphore with a name",
    "import _multiprocessing\ntry: _multiprocessing.SemLock(1, 1, 1, '/@FILE@', False)\nexcept OSError: pass" + WRONG,
)
