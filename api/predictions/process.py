"""Which process a worker is, and whether one that is named still lives."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path


@cache
def host() -> str:
    """Where process ids mean the same: one machine since its last start, and one container on it."""
    parts = [socket.gethostname()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8])
        parts.append(os.readlink("/proc/self/ns/pid"))
    except OSError:  # not Linux: the name has to do
        pass
    return " ".join(parts)


def started(pid: int) -> str:
    """When a process began, in the kernel's ticks: another process of the same id began at another time.

    '' when there is no such process, or it has ended and only its parent has not yet been told; '?' when the system
    does not say.
    """
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return "" if Path("/proc/self/stat").exists() else _asked(pid)
    except ProcessLookupError:
        return ""
    fields = status.rpartition(")")[2].split()  # the name, in parentheses, may hold anything
    return "" if fields[0] in "ZX" else fields[19]


def _asked(pid: int) -> str:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "?"
