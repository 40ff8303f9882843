# The archive's graph: every study of every family at paper scale. Only `make archive` and a cluster reach it;
# building the book never makes a record. A run that was stopped goes on where it was.
#
# Every record has one seed, which no trial run before it had: verdicts rest on runs that were made once, after the last
# change of any rule that reads them.

from model_collapse.cli import FAMILIES, family

SEED = 2024
RUNS = [f"data/results/{name}/paper-{study}/manifest.json" for name in FAMILIES for study in family(name).studies]


rule archive:
    input:
        RUNS,


rule record:
    output:
        "data/results/{family}/paper-{study}/manifest.json",
    threads: 1
    shell:
        "model-collapse run {wildcards.family} --study {wildcards.study} --profile paper --seed {SEED}"
