"""Where and how numbers are computed: device, precision, threads, global random state, and what the machine is."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "Compute",
    "DeviceError",
    "compute",
    "has_matrix_units",
    "leads",
    "load_average",
    "machine",
    "packages",
    "precision_of",
    "processor",
    "rows_in_cache",
    "seeded",
    "threads",
]

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


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # names and numbers of malloc.h
MATRIX_UNITS = {"amx_bf16", "avx512_bf16", "bf16"}  # of a processor, as the system names them
CACHED = 2**18  # numbers in single precision that stay in the cache of one core
INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16", "asimd", "sve", "bf16")  # worth recording


class DeviceError(ValueError):
    """A device that is not there. The message is one line."""


@dataclass(frozen=True)
class Compute:
    """Where networks run, and how.

    Attributes
    ----------
    device : {"cpu", "cuda"}
    precision : {"bf16", "fp32"}
        Of the products inside a network; parameters, losses and the optimiser's moments are always fp32.
    """

    device: str
    precision: str

    @property
    def name(self) -> str:
        """In words: cpu, or the model of the GPU."""
        import torch

        return torch.cuda.get_device_name() if self.device == "cuda" else self.device

    def autocast(self):
        """A context in which torch multiplies in the chosen precision."""
        import torch

        return torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bf16")

    def generator(self, rng: np.random.Generator):
        """A torch.Generator on the device, seeded by `rng`."""
        import torch

        return torch.Generator(self.device).manual_seed(int(rng.integers(2**63)))


def compute(device: str = "auto", precision: str = "auto") -> Compute:
    """The one rule of device and precision.

    A GPU where there is one, else the processor. bf16 where the device has units for it, else fp32. Convolutions use
    the layout ``channels_last`` everywhere. Freed memory of arrays up to 32 MiB stays with the process.

    Raises
    ------
    DeviceError
        For a device that is not there.
    """
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError("device 'cuda' is not there: take --set device=cpu, or leave it out")
    if precision == "auto":
        fast = torch.cuda.is_bf16_supported() if device == "cuda" else has_matrix_units(processor()[1])
        precision = "bf16" if fast else "fp32"
    if device == "cpu":
        _keep_freed_memory()
    return Compute(device, precision)


def has_matrix_units(instructions: Iterable[str]) -> bool:
    """Whether a processor of these instruction sets has units for bf16."""
    return not MATRIX_UNITS.isdisjoint(instructions)


def precision_of(machine: Mapping[str, Any]) -> str:
    """The precision that the rule gave to networks on a machine, as `machine` and manifests describe it.

    The first manifests do not say it, but name ``amx_tile``, which comes with units for bf16.
    """
    known = machine["instructions"]
    return machine.get("precision") or ("bf16" if "amx_tile" in known or has_matrix_units(known) else "fp32")


def rows_in_cache(x) -> int:
    """How many rows of a tensor to take at a time, so that they stay in a processor's cache; all of them on a GPU."""
    return max(CACHED * len(x) // x.numel(), 1) if x.device.type == "cpu" else len(x)


@functools.cache
def _keep_freed_memory() -> None:
    """Let glibc keep the memory of arrays up to 32 MiB, instead of returning it page by page after every step.

    Larger arrays still get memory of their own: kept as well, they leave ever more holes that nothing fits into. Other
    libraries of C are left as they are.
    """
    if platform.libc_ver()[0] == "glibc":
        change = ctypes.CDLL(None).mallopt
        for option, value in ((M_MMAP_THRESHOLD, 32 * 2**20), (M_TRIM_THRESHOLD, 2**31 - 1)):
            change(option, value)


def leads() -> bool:
    """Whether this process is the one that writes: the only one, or the first of those of ``accelerate launch``."""
    return os.environ.get("RANK", "0") == "0"


@contextlib.contextmanager
def seeded(rng: np.random.Generator) -> Iterator[None]:
    """Inside the block torch's global random state is a function of `rng`; afterwards it is what it was.

    For what draws from global state only: initial weights, dropout.
    """
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(int(rng.integers(2**63)))
        yield


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Limit the thread pools of BLAS, OpenMP and torch to `count` inside the block.

    Equal bits are promised on one kind of processor at equal thread count, so the count is a setting of a run and
    never "all cores".
    """
    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else count
    with threadpool_limits(limits=count):
        if torch:
            torch.set_num_threads(count)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)


def machine(thread_count: int, where: Compute | None = None) -> dict[str, Any]:
    """What the manifest says of the machine, and of where on it networks ran: no host name, no user, no path."""
    name, flags = processor()
    return {
        "processor": name,
        "instructions": [flag for flag in INSTRUCTIONS if flag in flags],
        "cores": os.cpu_count(),
        "threads": thread_count,
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "system": platform.system(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "packages": packages(),
    } | ({"device": where.name, "precision": where.precision} if where else {})


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
