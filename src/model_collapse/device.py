"""Where and how numbers are computed: threads, and what the machine is."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["load_average", "machine", "packages", "processor", "threads"]

RECORDED_PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "torch",
    "torchvision",
    "transformers",
    "accelerate",
)


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Limit the thread pools of BLAS and OpenMP to `count` inside the block.

    Equal bits are promised on one kind of processor at equal thread count, so the count is a setting of a run and
    never "all cores".
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=count):
        yield


def machine(thread_count: int) -> dict[str, object]:
    """What the manifest says of the machine: no host name, no user, no path."""
    name, flags = processor()
    return {
        "processor": name,
        "instructions": [flag for flag in ("avx2", "avx512f", "amx_tile", "asimd", "sve") if flag in flags],
        "cores": os.cpu_count(),
        "threads": thread_count,
        "system": platform.system(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "packages": packages(),
    }


def packages() -> dict[str, str]:
    """Versions of the packages that results can depend on, without importing them."""
    found = {}
    for name in RECORDED_PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def load_average() -> float | None:
    """Mean number of processes that wanted a core during the last minute; None where the system does not say."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def processor() -> tuple[str, set[str]]:
    """Model of the processor in words, and the instruction sets it says it has."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or sys.platform, set()
    fields = dict(
        (key.strip(), value.strip())
        for key, _, value in (line.partition(":") for line in info.read_text().split("\n\n")[0].splitlines())
    )
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    return fields.get("model name", platform.processor() or "unknown"), flags
