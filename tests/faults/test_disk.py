"""A disk that is full, one that cannot be written to, and two processes on one run: a clear line, and nothing is lost.

The disks are small ones in memory, in a namespace of their own: no rights are needed where the kernel allows that.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model_collapse.archive import load_record

WORDS = [sys.executable, "-m", "model_collapse.cli", "run", "gaussian", "--profile", "smoke", "--set", "items=points"]
WORDS += ["--chains", "20", "--set", "n=2000", "--set", "d=10", "--checkpoint", "0", "--name", "mine"]
RUN = shlex.join(WORDS)


def on_a_disk(place: Path, size: str, script: str) -> subprocess.CompletedProcess:
    """Run a script of the shell where `place` is a small disk in memory, on which the run keeps state and record."""
    place.mkdir()
    mount = f"mount -t tmpfs -o size={size} tmpfs {place}"
    here = {"MODEL_COLLAPSE_CACHE": str(place / "cache"), "MODEL_COLLAPSE_RESULTS": str(place / "results")}
    isolated = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    try:
        subprocess.run([*isolated, mount], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no disk in memory can be mounted here: {error}")
    return subprocess.run([*isolated, f"{mount}\n{script}"], env=os.environ | here, capture_output=True, text=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The record of a run that had all the room it wanted."""
    home = tmp_path_factory.mktemp("whole")
    here = {"MODEL_COLLAPSE_CACHE": str(home / "cache"), "MODEL_COLLAPSE_RESULTS": str(home)}
    assert subprocess.run(WORDS, env=os.environ | here, stdout=subprocess.DEVNULL).returncode == 0
    return load_record(home / "gaussian/mine")


def one_line_of(text: str) -> str:
    lines = [line for line in text.splitlines() if line]
    assert len(lines) == 1, text
    return lines[0]


def test_a_full_disk_stops_a_run_and_more_room_lets_it_end(tmp_path, whole):
    """A checkpoint takes about three megabytes, and the next one needs its room beside it."""
    disk = tmp_path / "disk"
    script = f"""
        {RUN}; echo "rc $?"
        find {disk} -name '.*' -type f | wc -l
        mount -o remount,size=200m {disk}
        {RUN} > /dev/null; echo "rc $?"
        cp -r {disk}/results {tmp_path}
    """
    done = on_a_disk(disk, "5m", script)
    said = one_line_of(done.stderr)
    assert "No space left on device" in said and "what was saved before is untouched" in said
    assert done.stdout.split("rc ")[1:] == ["1\n0\n", "0\n"], done.stdout  # no leftover of a half-written file
    assert load_record(tmp_path / "results/gaussian/mine").metrics.equals(whole.metrics)


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_computed(tmp_path):
    disk = tmp_path / "disk"
    trace = tmp_path / "trace"
    done = on_a_disk(disk, "5m", f"mount -o remount,ro {disk}\n{RUN} --trace {trace}; echo rc $?")
    assert "Read-only file system" in one_line_of(done.stderr) and done.stdout == "rc 1\n"
    assert not trace.exists() or not trace.read_text()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_the_second_of_two_processes_on_one_run_is_refused_and_the_first_goes_on(tmp_path, whole):
    here = {"MODEL_COLLAPSE_CACHE": str(tmp_path / "cache"), "MODEL_COLLAPSE_RESULTS": str(tmp_path)}
    environment = os.environ | here
    trace = tmp_path / "trace"
    first = subprocess.Popen([*WORDS, "--trace", str(trace)], env=environment, stdout=subprocess.DEVNULL)
    while not (trace.exists() and trace.read_text()):
        assert first.poll() is None
        time.sleep(0.001)
    first.send_signal(signal.SIGSTOP)  # for as long as the second one takes to begin
    try:
        assert not (tmp_path / "gaussian").exists() or not list((tmp_path / "gaussian").glob("mine"))
        second = subprocess.run(WORDS, env=environment, capture_output=True, text=True)
    finally:
        first.send_signal(signal.SIGCONT)
    assert second.returncode == 1
    assert "another process is running this very run" in one_line_of(second.stderr)
    assert first.wait() == 0 and load_record(tmp_path / "gaussian/mine").metrics.equals(whole.metrics)
