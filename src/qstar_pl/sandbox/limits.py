"""How much a program may use, and which walls to build around it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from qstar_pl.sandbox.errors import SandboxError

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """Bounds on one run of a program; a run that meets one of them has failed."""

    wall_s: float = 10.0
    """Seconds from start to end, above 0; for tests of a function: of all of them together."""
    cpu_s: int = 5
    """Seconds of processor time, at least 1: the bound that does not depend on what else the machine does."""
    memory_mib: int = 1024
    """Address space of a process in MiB, at least 64."""
    files_mib: int = 64
    """Size of a file in MiB, at least 1; where the file system is private, of all files together, too."""
    output_mib: int = 4
    """What a program may print, and what a function may return in one call, in MiB, at least 1."""
    processes: int = 1
    """Processes at once, at least 1; 1 forbids new ones. 64 threads are allowed besides."""

    def __post_init__(self) -> None:
        least = {"cpu_s": 1, "memory_mib": 64, "files_mib": 1, "output_mib": 1, "processes": 1}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise SandboxError(f"{name} must be at least {bound}, got {getattr(self, name)}")
        # Also false for NaN; a day keeps the clocks' arithmetic finite.
        if not 0 < self.wall_s <= 86_400:
            raise SandboxError(f"wall_s must be above 0 and at most 86400, got {self.wall_s}")


@dataclass(frozen=True)
class Layers:
    """Which walls to build where the kernel allows them; all of them, unless a test is about one alone."""

    namespaces: bool = True
    """Own users, processes, network, IPC and host name."""
    private_files: bool = True
    """A root of its own with the standard library and an empty working folder; needs namespaces."""
    seccomp: bool = True
    """A filter of system calls."""
    other_user: bool = True
    """As root: run the program as a user that nothing else runs as."""


@dataclass(frozen=True)
class Isolation:
    """Which walls stand on this machine, as found by building them."""

    user: bool
    """The program runs in a user namespace, without any capability outside."""
    processes: bool
    """It sees only its own processes, and all of them end with its first one (pid namespace)."""
    network: bool
    """It has a network namespace of its own, in which nothing is up."""
    files: bool
    """Its root holds the standard library, read-only, and an empty working folder in memory."""
    seccomp: bool
    """A filter refuses system calls."""
    other_user: bool
    """It runs as a user id that nothing else uses."""
    vsock: bool = False
    """It can open sockets to the host of a virtual machine (AF_VSOCK), which no namespace bounds."""
    reason: str = ""
    """The kernel's answer to the best set of walls, where it refused that."""

    @property
    def offline(self) -> bool:
        """Return whether the program cannot reach a network."""
        return self.seccomp or (self.network and not self.vsock)

    def warning(self) -> str | None:
        """Return what a user should know before programs run: a way out, or right programs that fail; None if nothing.

        Layers that were not asked for count as missing.
        """
        if not self.offline:
            return f"programs are not isolated from the network here. What stands:\n{self.describe()}"
        if self.seccomp and not self.files:
            return f"programs can open no file here, so that some imports fail. What stands:\n{self.describe()}"
        return None

    def describe(self) -> str:
        """Return the walls in words, one line each, including those that are missing."""
        lines = [
            "network: " + _network(self),
            "files: " + _files(self),
            "processes: " + _processes(self),
            "system calls: "
            + ("filtered (seccomp)" if self.seccomp else "NOT filtered: seccomp is not available to this process"),
            "user: " + _user(self),
            "memory: address space of each process; that of several is added up every 20 ms, without a cgroup",
            "always: limits on processor time, memory, open files and output; a deadline; empty environment",
        ]
        if self.reason:
            lines.append(f"not all walls stand, for this was refused: {self.reason}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, bool | str]:
        """Return the fields, for a message."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _network(walls: Isolation) -> str:
    if walls.network and walls.seccomp:
        return "none (own network namespace, and no sockets)"
    if walls.network and walls.vsock:
        return "none (own network namespace), but NOT isolated from the host of this virtual machine (vsock)"
    if walls.network:
        return "none (own network namespace)"
    if walls.seccomp:
        return "none (no sockets: seccomp); no network namespace"
    return "NOT isolated: a program can open connections"


def _files(walls: Isolation) -> str:
    if walls.files:
        return "private (read-only standard library, empty working folder in memory)"
    if walls.seccomp:
        return (
            "none can be opened (seccomp; modules that are not loaded beforehand cannot be imported); no private root"
        )
    reach = "a user without rights" if walls.other_user else "this user"
    return f"NOT isolated: a program can read and write what {reach} can"


def _processes(walls: Isolation) -> str:
    if walls.processes:
        return "own pid namespace, which ends as a whole"
    if walls.seccomp:
        return "no new ones (seccomp); no pid namespace"
    return "NOT isolated: what a program leaves behind is looked for and killed; it can signal what its user can"


def _user(walls: Isolation) -> str:
    which = "an unused user id" if walls.other_user else "this user's id"
    return which + (" in an own user namespace, no capabilities" if walls.user else ", no capabilities")
