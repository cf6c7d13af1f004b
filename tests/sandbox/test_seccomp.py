"""The filter, run by a small interpreter of classic BPF; tests/sandbox/test_hostile.py runs it in the kernel."""

import errno
import platform
import struct

import pytest

from qstar_pl.sandbox import seccomp, syscall_numbers

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def run(program, number, argument=0, audit=MACHINES["x86_64"]):
    data = struct.pack("IIQQQQQQQ", number, audit, 0, argument, 0, 0, 0, 0, 0)
    instructions = list(struct.iter_unpack("HBBI", program))
    accumulator, at = 0, 0
    while True:
        code, yes, no, value = instructions[at]
        at += 1
        if code == 0x20:
            accumulator = struct.unpack_from("I", data, value)[0]
        elif code == 0x06:
            return value
        else:
            holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
            at += yes if holds else no


def built(machine="x86_64", own_pid=None, new_processes=False, open_files=True):
    return seccomp.build_filter(seccomp.FilterOptions(own_pid, new_processes, open_files), machine)


def refused(code):
    return ERRNO | code


@pytest.mark.parametrize("machine", MACHINES)
def test_refuses_its_list_and_allows_the_rest(machine):
    program, column, audit = built(machine), list(MACHINES).index(machine), MACHINES[machine]
    tables = ("OTHER_PROCESSES", "ASYNCHRONOUS", "SOCKETS", "SHARED_MEMORY", "SYSTEM", "NEW_PROCESSES")
    listed = {pair[column] for table in tables for pair in getattr(syscall_numbers, table).values()}
    by_argument = {pair[column] for pair in syscall_numbers.BY_ARGUMENT.values()}
    for number in range(syscall_numbers.NEWEST + 1):
        if number not in by_argument:
            expected = refused(errno.EPERM) if number in listed else ALLOW
            assert run(program, number, audit=audit) == expected, number
    assert run(program, syscall_numbers.NEWEST + 1, audit=audit) == refused(errno.ENOSYS)


def test_numbers_are_those_of_this_machines_headers():
    from pathlib import Path

    headers = {
        "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
        "aarch64": "/usr/include/asm-generic/unistd.h",
    }
    tables = [value for name, value in vars(syscall_numbers).items() if name.isupper() and isinstance(value, dict)]
    compared = 0
    for column, path in enumerate(headers.values()):
        if not Path(path).is_file():
            continue
        lines = [line.split() for line in Path(path).read_text().splitlines() if line.startswith("#define __NR")]
        known = {
            words[1].removeprefix("__NR3264_").removeprefix("__NR_"): words[2] for words in lines if len(words) > 2
        }
        for table in tables:
            for name, pair in table.items():
                if name in known and known[name].isdigit():
                    assert pair[column] == int(known[name]), name
                    compared += 1
    if not compared:
        pytest.skip("no kernel headers here")
    assert compared > 80


def test_another_architecture_is_killed():
    assert run(built(), 1, audit=MACHINES["aarch64"]) == KILL
    assert run(built(), 1, audit=0x40000003) == KILL  # 32-bit calls of an x86_64 process
    assert run(built(), 0x40000001) == refused(errno.ENOSYS)  # x32


def test_processes_and_threads():
    clone, thread, fork = 56, 0x10000 | 0x3D0F00, 17
    assert run(built(), clone, thread) == ALLOW
    assert run(built(), clone, fork) == refused(errno.EAGAIN)
    assert run(built(new_processes=True), clone, fork) == ALLOW
    assert run(built(new_processes=True), 57) == ALLOW
    for namespace in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert run(built(new_processes=True), clone, namespace | fork) == refused(errno.EPERM)
    assert run(built(), 435) == refused(errno.ENOSYS)


def test_signals_only_to_itself_without_a_pid_namespace():
    kill, tgkill, prlimit = 62, 234, 302
    alone = built(own_pid=77)
    for number in (kill, tgkill, prlimit):
        assert run(alone, number, 77) == ALLOW
        assert run(alone, number, 78) == refused(errno.EPERM)
        assert run(built(), number, 78) == ALLOW
        assert run(built(), number, 1) == refused(errno.EPERM)  # the supervisor
    assert run(alone, kill, 0) == refused(errno.EPERM)
    assert run(alone, kill, 2**32 - 1) == refused(errno.EPERM)
    assert run(alone, prlimit, 0) == ALLOW
    assert run(alone, 157, 1) == refused(errno.EPERM)  # prctl(PR_SET_PDEATHSIG)
    assert run(alone, 157, 15) == ALLOW


def test_files_on_request():
    for name, (number, _) in syscall_numbers.FILES.items():
        assert run(built(), number) == ALLOW, name
        assert run(built(open_files=False), number) == refused(errno.EPERM), name


def test_known_machines():
    assert seccomp.supported() is (platform.machine() in MACHINES)
