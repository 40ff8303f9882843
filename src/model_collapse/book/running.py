"""Executing the book: one papermill run per chapter, driven by one Snakemake per checkout.

A build can be killed at any moment. Three things keep the next one safe: the kernel lets go of the file lock of a dead
process, every process of a build ends when its parent is gone, and Snakemake runs outputs again that were cut off.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from . import pages
from .environment import MAKES_PAGES

__all__ = ["build", "execute", "follow_parent", "only_build"]

INDEX = Path("_build/html/index.html")
_LOCK = Path("_build/.lock")


def follow_parent(interval: float = 0.5) -> None:
    """End this process soon after its parent has died, so that a killed build leaves nothing running."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(interval)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="follow-parent").start()


def only_build(path: Path = _LOCK):
    """Open and lock `path` for the life of this process.

    Raises
    ------
    SystemExit
        If another live process holds the lock.
    """
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    handle = path.open("a")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise SystemExit("make book: another build of this checkout is running; wait for it or stop it") from None
    return handle


def execute(notebook: str, output: str) -> None:
    """Execute a chapter with papermill, in this environment's own kernel and from the repository root.

    The output is written aside and renamed, so that a cut-off run is never taken for an executed chapter.
    """
    follow_parent()
    # A python3 kernel that the reader has registered elsewhere must not win over this environment's.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    os.environ[MAKES_PAGES] = "1"
    # No widgets here, and no need of any: without this a page would show tqdm's regret, and where it was installed.
    quiet = (os.environ.get("PYTHONWARNINGS"), "ignore:IProgress not found")
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, quiet))
    import papermill
    from jupyter_client.kernelspec import KernelSpecManager

    command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    if command not in {"python", "python3", f"python3.{sys.version_info[1]}", sys.executable}:
        raise SystemExit(f"the python3 kernel is {command}, not the Python of this environment: {sys.executable}")
    print(f"executing {notebook}", flush=True)
    start = time.perf_counter()
    partial = Path(output).with_suffix(".partial.ipynb")
    try:
        papermill.execute_notebook(
            notebook,
            str(partial),
            kernel_name="python3",
            cwd=os.getcwd(),
            progress_bar=False,
            extra_arguments=["--log-level=ERROR"],  # or each kernel warns that it talks over the loopback interface
        )
    except papermill.PapermillExecutionError as error:
        raise SystemExit(f"error: {notebook} failed; all of it up to there is in {partial}\n{error}") from None
    os.replace(partial, output)
    print(f"executed {notebook} in {time.perf_counter() - start:.0f} s", flush=True)


def build(cores: str = "all") -> int:
    """Bring the book up to date and say in one line what was done; the exit status of Snakemake."""
    _lock = only_build()  # held until this process ends
    follow_parent()
    try:
        for name in pages.notebooks():
            pages.inputs(name)
    except pages.BookError as error:
        raise SystemExit(f"make book: {error}") from None
    from snakemake.cli import main as snakemake

    before = INDEX.stat().st_mtime_ns if INDEX.exists() else None
    start = time.perf_counter()
    # Our own lock does what Snakemake's would, and does not outlive a kill: hence --nolock.
    try:
        snakemake(["--cores", cores, "--nolock", "--rerun-incomplete", "--quiet", "all"])
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    if status:
        why = "if nothing stands above, `.venv/bin/snakemake --dry-run` says why"
        print(f"make book: the build failed; {why}", file=sys.stderr)
    elif before == INDEX.stat().st_mtime_ns:
        print(f"make book: nothing to do, {INDEX} is up to date")
    else:
        print(f"make book: {INDEX} built in {time.perf_counter() - start:.0f} s")
    return status
