# The archive's graph: every study of every family, at the profile that its archive is made at. Only `make archive` and
# a cluster reach it; building the book never makes a record. A run that was stopped goes on where it was.
#
# A run is made in parts, one a job: each takes its share of the blocks of chains, in any order, on any machine that
# shares the folder of resume states (MODEL_COLLAPSE_CACHE); the record is what they add up to, whatever the order. Runs
# that start from a base which does not come with the project wait for it to be made.
#
#   --config profile=paper               another scale than the archive's own, for the families that have it
#   --config only=gmm,vae/long-replace   some families, or some of their studies
#   --config most_minutes=720            the longest that a job may ask for; it goes on in the next try
#   --resources gpu=1                    as many jobs at once that want a GPU, where no cluster counts them
#
# Every record has one seed, which no trial run before it had: verdicts rest on runs that were made once, after the last
# change of any rule that reads them.

import functools
import math

from model_collapse.families import FAMILIES, family
from model_collapse.places import results_root
from model_collapse.planning import NETWORKS, hours, pace, parts, taken

SEED = 2024
# One side of a two-sample test must share no randomness with the other.
OTHERS = {"blob-batched": 2025, "blob-replace-warm": 2025, "two-replace-warm": 2025}
PACE = functools.cache(lambda name: pace(name, taken(results_root(), name)))
ONLY = set(str(config["only"]).split(",")) if "only" in config else set()
MOST_MINUTES = int(config.get("most_minutes", 1440))
KNOWN = {name for name in FAMILIES} | {f"{name}/{study}" for name in FAMILIES for study in family(name).studies}
SCALES = {scale for name in FAMILIES for scale in family(name).profiles}
if unknown := (ONLY - KNOWN) | ({config["profile"]} - SCALES if "profile" in config else set()):
    raise WorkflowError(f"unknown: {', '.join(sorted(unknown))}")


def scale(name):
    wanted = config.get("profile", family(name).archive)
    return wanted if wanted in family(name).profiles else None


RUNS = [
    f"data/results/{name}/{scale(name)}-{study}/manifest.json"
    for name in FAMILIES
    for study in family(name).studies
    if scale(name) and (not ONLY or name in ONLY or f"{name}/{study}" in ONLY)
]
RUN = (
    "model-collapse run {wildcards.family} --study {wildcards.study} --profile {wildcards.profile} --seed {params.seed}"
    " --results data/results"
)


wildcard_constraints:
    family="|".join(FAMILIES),
    profile="[a-z]+",
    part=r"\d+",
    parts=r"\d+",


def seed(wildcards):
    return OTHERS.get(wildcards.study, SEED)


def threads_of(wildcards):
    return family(wildcards.family).configure(wildcards.study, wildcards.profile)[0].threads


def base_of(wildcards):
    """What a language model starts from, where that is a base of the project's own that has to be made first."""
    if wildcards.family != "llm":
        return []
    from model_collapse.llm.base import SHAPES, base_root

    name = family("llm").configure(wildcards.study, wildcards.profile)[0].base
    to_make = name in SHAPES and SHAPES[name].pretrained and not (base_root() / name).is_dir()
    return [f"_build/archive/base/{name}"] if to_make else []


def parts_of(wildcards):
    count = parts(wildcards.family, wildcards.study, wildcards.profile)
    return [f"_build/archive/{{family}}/{{profile}}-{{study}}.{k}-{count}" for k in range(1, count + 1)]


def minutes_of(wildcards, attempt):
    """Three times the estimate of a part, doubled with every attempt: a job that is cut off goes on where it was.

    Estimates come from records, which were made on processors; a GPU needs far less.
    """
    whole = hours(wildcards.family, wildcards.study, wildcards.profile, PACE(wildcards.family))
    return min(math.ceil((10 + 60 * 3 * whole / int(wildcards.parts)) * 2 ** (attempt - 1)), MOST_MINUTES)


def gpus_of(wildcards):
    return int(wildcards.profile in family(wildcards.family).gpu)


def memory_of(wildcards):
    return 32_000 if gpus_of(wildcards) else 8_000 if wildcards.family in NETWORKS else 4_000


rule archive:
    input:
        RUNS,


rule base:
    output:
        touch("_build/archive/base/{base}"),
    resources:
        mem_mb=32_000,
        runtime=MOST_MINUTES,
        gpu=1,
    shell:
        "model-collapse pretrain {wildcards.base}"


rule part:
    input:
        base_of,
    output:
        temp(touch("_build/archive/{family}/{profile}-{study}.{part}-{parts}")),
    params:
        seed=seed,
    threads: threads_of
    resources:
        mem_mb=memory_of,
        runtime=minutes_of,
        gpu=gpus_of,
    shell:
        "NUMBA_NUM_THREADS={threads} " + RUN + " --shard {wildcards.part}/{wildcards.parts}"


rule record:
    input:
        parts_of,
    output:
        "data/results/{family}/{profile}-{study}/manifest.json",
    params:
        seed=seed,
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4_000 * attempt,
        runtime=lambda wildcards, attempt: 20 * attempt,
    shell:
        RUN
