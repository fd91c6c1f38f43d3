"""What the operating system says of a process: whether it is there, since when, what it uses."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
# Places in /proc/<pid>/stat, counted from after the name, which may hold blanks and parentheses of its own.
_STATE, _USER, _SYSTEM, _START, _PAGES = 0, 11, 12, 19, 21


class Usage(NamedTuple):
    """What a process uses; None: this system does not say."""

    cpu_seconds: float
    resident_bytes: float | None
    open_files: float | None


def start_of(pid: int) -> int:
    """When the process began, in clock ticks since boot; 0 where there is no /proc, or no such process.

    Process ids are used again; id and start together are not.
    """
    fields = _stat(pid)
    return int(fields[_START]) if fields else 0


def alive(pid: int, start: int) -> bool:
    """Whether the process that began at `start` is still there. A zombie is dead: it will not count any more.

    Where there is no /proc, another process that has got the same id counts as this one.
    """
    if (PROC / "self" / "stat").exists():
        fields = _stat(pid)
        return fields is not None and fields[_STATE] not in "ZX" and start in (0, int(fields[_START]))
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def began(pid: int) -> float:
    """When the process began, in seconds since 1970; now, where there is no /proc."""
    start = start_of(pid)
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - start / _TICKS if start else 0.0
    return time.time() - age


def usage(pid: int) -> Usage | None:
    """CPU, memory and files of a process; None when nothing is known of it.

    Where there is no /proc only this process is known, without its memory: the system tells the largest it ever was.
    """
    fields = _stat(pid)
    if fields:
        seconds = (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS
        return Usage(seconds, float(int(fields[_PAGES]) * _PAGE), _entries(PROC / str(pid) / "fd"))
    if pid != os.getpid():
        return None
    used = resource.getrusage(resource.RUSAGE_SELF)
    return Usage(used.ru_utime + used.ru_stime, None, _entries(Path("/dev/fd")))


def _stat(pid: int) -> list[str] | None:
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def _entries(folder: Path) -> float | None:
    try:
        return float(len(os.listdir(folder)))
    except OSError:
        return None
