# The archive's graph: every study of every family, at the profile that its archive is made at. Only `make archive` and
# a cluster reach it; building the book never makes a record. A run that was stopped goes on where it was.
#
# A run is made in parts: each takes its share of the blocks of chains, in any order, on any machine that shares the
# folder of resume states (MODEL_COLLAPSE_CACHE); the record is what they add up to, whatever the order.
#
# Every record has one seed, which no trial run before it had: verdicts rest on runs that were made once, after the last
# change of any rule that reads them.

from model_collapse.families import FAMILIES, family

SEED, PARTS = 2024, 4
# One side of a two-sample test must share no randomness with the other.
OTHERS = {"blob-batched": 2025, "blob-replace-warm": 2025, "two-replace-warm": 2025}
RUNS = [
    f"data/results/{name}/{family(name).archive}-{study}/manifest.json"
    for name in FAMILIES
    for study in family(name).studies
]
RUN = (
    "model-collapse run {wildcards.family} --study {wildcards.study} --profile {wildcards.profile} --seed {params.seed}"
)


wildcard_constraints:
    family="|".join(FAMILIES),
    profile="laptop|paper",


def seed(wildcards):
    return OTHERS.get(wildcards.study, SEED)


def threads_of(wildcards):
    return family(wildcards.family).configure(wildcards.study, wildcards.profile)[0].threads


rule archive:
    input:
        RUNS,


rule part:
    output:
        temp(touch("_build/archive/{family}/{profile}-{study}.{part}")),
    params:
        seed=seed,
    threads: threads_of
    shell:
        "NUMBA_NUM_THREADS={threads} " + RUN + f" --shard {{wildcards.part}}/{PARTS}"


rule record:
    input:
        expand("_build/archive/{{family}}/{{profile}}-{{study}}.{part}", part=range(1, PARTS + 1)),
    output:
        "data/results/{family}/{profile}-{study}/manifest.json",
    params:
        seed=seed,
    threads: 1
    shell:
        RUN
