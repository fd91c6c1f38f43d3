"""Same inputs, same bytes, on any x86-64-v3 machine: which CPU paths NumPy and OpenBLAS may take.

NumPy's exp, log and power differ in the last bit between its AVX-512 and AVX2 kernels, and OpenBLAS's kernels differ
between CPU families. Both read the environment when they are loaded, so this runs first (`mlops/__init__.py`).
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

NUMPY_FEATURES = ("X86_V4", "AVX512_ICL", "AVX512_SPR")
"""NumPy 2.4's names for its AVX-512 kernels."""


def pin() -> None:
    """Keep NumPy and OpenBLAS to what every x86-64-v3 CPU has; on other architectures there is nothing to pin.

    Threads that wait for each other are told to sleep, not to spin: beside one busy neighbour training then takes two
    thirds longer instead of three times as long (docs/benchmarks.md).
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime would keep a device id in the home folder
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return
    os.environ["OPENBLAS_CORETYPE"] = "Haswell"
    if _has_avx512():  # NumPy warns about a name that the CPU does not have
        asked = os.environ.get("NPY_DISABLE_CPU_FEATURES", "").replace(",", " ").split()
        os.environ["NPY_DISABLE_CPU_FEATURES"] = " ".join(dict.fromkeys([*asked, *NUMPY_FEATURES]))


def _has_avx512() -> bool:
    try:
        return "avx512f" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # no /proc: macOS; its x86 wheels have the same kernels, and a warning harms nobody
        return True
