"""The archive's workflow: a job for each block of chains, which says what it wants of a cluster."""

import re
import subprocess
import sys

import pytest
import yaml
from conftest import ROOT


def planned(tmp_path, *config: str) -> str:
    words = [sys.executable, "-m", "snakemake", "--dry-run", "--nolock", "--cores", "2", "--directory", str(tmp_path)]
    words += ["--snakefile", str(ROOT / "workflow/archive.smk"), "--config", *config]
    done = subprocess.run(words, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_a_run_is_as_many_jobs_as_it_has_blocks_and_a_record(tmp_path):
    said = planned(tmp_path, "profile=smoke", "only=gaussian/sizes,vae/stored-replace")
    assert re.search(r"part +6\n", said) and re.search(r"record +2\n", said)
    assert {"_build/archive/gaussian/smoke-sizes.4-4", "_build/archive/vae/smoke-stored-replace.2-2"} <= set(
        re.findall(r"output: (\S+)", said)
    )


def test_a_job_says_its_time_memory_and_gpu(tmp_path):
    """A network at the scale of the paper wants a GPU; a Gaussian does not."""
    said = planned(tmp_path, "profile=paper", "only=vae/stored-replace,gaussian/replace")
    jobs = {name: block for block in said.split("rule ") for name in re.findall(r"output: (\S+)", block)}
    network, gaussian = (jobs[f"_build/archive/{name}"] for name in ("vae/paper-stored-replace.1-5", _first(jobs)))
    assert re.search(r"gpu=1\b", network) and re.search(r"mem_mb=32000\b", network) and "threads: 2" in network
    assert re.search(r"gpu=0\b", gaussian) and re.search(r"mem_mb=4000\b", gaussian)
    assert int(re.search(r"runtime=(\d+)", network)[1]) > int(re.search(r"runtime=(\d+)", gaussian)[1]) >= 10


def test_a_base_that_does_not_come_with_the_project_is_made_first(tmp_path):
    said = planned(tmp_path, "profile=paper", "only=llm/beam5-replace,llm/opt125m-replace")
    assert re.search(r"base +1\n", said) and "output: _build/archive/base/paper" in said
    waiting = [block for block in said.split("rule ") if "input: _build/archive/base/paper" in block]
    assert waiting and all("llm/paper-beam5-replace" in block for block in waiting)
    assert "rule base" not in planned(tmp_path, "profile=laptop", "only=llm/beam5-replace")


def _first(jobs: dict[str, str]) -> str:
    return next(name for name in jobs if "gaussian" in name and "archive" in name).removeprefix("_build/archive/")


def test_the_profile_for_slurm_is_one():
    """Each of its entries is an option that Snakemake knows."""
    from snakemake.cli import get_argument_parser

    said = yaml.safe_load((ROOT / "workflow/profiles/slurm/config.v8+.yaml").read_text())
    known = {name for action in get_argument_parser()._actions for name in action.option_strings}
    assert {f"--{name}" for name in said} <= known and said["executor"] == "slurm"


@pytest.mark.parametrize("config", ["only=gaussian/repalce", "profile=papre"])
def test_a_word_that_names_nothing_is_refused(tmp_path, config):
    said = planned(tmp_path, "profile=smoke", config)
    assert f"unknown: {config.split('=')[1]}" in said
