"""The stamp at the foot of a chapter: where, with what and in what time it was executed."""

from __future__ import annotations

import datetime
import html
import os
import platform
import sys
import time
from importlib import metadata

from ..device import processor

__all__ = ["imported_modules", "stamp"]

_PACKAGES = ("numpy", "scipy", "pandas", "scikit-learn", "numba", "torch", "torchvision", "transformers")
_IMPORT_NAMES = {"scikit-learn": "sklearn"}
_LOADED = time.time()

MAKES_PAGES = "MODEL_COLLAPSE_MAKES_PAGES"
"""Environment variable that is set while the book executes a chapter: what it glues need not be shown twice."""


def imported_modules() -> list[str]:
    """Names of the modules of this package that the process has imported, sorted."""
    return sorted(
        name
        for name, module in sys.modules.items()
        if name.split(".")[0] == "model_collapse" and getattr(module, "__file__", None)
    )


def _seconds_since_start() -> float:
    """Seconds since this process started (since this module was loaded where psutil is missing)."""
    try:
        import psutil

        return time.time() - psutil.Process().create_time()
    except ImportError:
        return time.time() - _LOADED


def _threads() -> str:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch = sys.modules.get("torch")
    used = torch.get_num_threads() if torch else os.environ.get("OMP_NUM_THREADS", usable)
    return f"{used} of {usable}"


def _facts() -> dict[str, str]:
    facts = {
        "Executed": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "Wall time": f"{_seconds_since_start():.1f} s since the kernel started",
        "Processor": processor()[0],
        "Threads": _threads(),
        "System": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
    }
    loaded = [name for name in _PACKAGES if _IMPORT_NAMES.get(name, name) in sys.modules]
    facts["Packages"] = ", ".join(f"{name} {metadata.version(name)}" for name in loaded) or "none of the large ones"
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_initialized():
        facts["GPU"] = torch.cuda.get_device_name()
    return facts


def stamp() -> None:
    """Show how this chapter was executed; the last cell of every chapter calls it.

    The output carries, beside the table, the list of imported modules of this package in its metadata
    (key ``model_collapse``). A test compares that list with ``chapters/imports.yml``.
    """
    from IPython.display import display

    facts = _facts()
    rows = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in facts.items())
    bundle = {
        "text/html": f'<table class="stamp"><tbody>{rows}</tbody></table>',
        "text/plain": "\n".join(f"{key}: {value}" for key, value in facts.items()),
    }
    display(bundle, metadata={"model_collapse": {"modules": imported_modules(), "facts": facts}}, raw=True)
