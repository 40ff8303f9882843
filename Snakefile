# The graph of the book: modules, notebooks and records (plain inputs) -> executed chapters -> pages.
# It never makes a record: those come from workflow/archive.smk. `make book` calls this file; see model_collapse.book.
import sys
from glob import glob
from pathlib import Path

from model_collapse.book import pages

PYTHON = sys.executable
CHAPTERS = pages.notebooks()
TEXTS = [f"{page}.md" for page in pages.toc_pages() if Path(f"{page}.md").is_file()]
NEEDS = {name: pages.inputs(name) for name in CHAPTERS}
# Everything under src/, because the reference pages are made from its docstrings.
MODULES = sorted(glob("src/model_collapse/**/*.py", recursive=True))
STATIC = sorted(path for path in glob("chapters/_*/**", recursive=True) if Path(path).is_file())


rule book:
    input:
        "_build/html/index.html",


rule execute:
    input:
        notebook="chapters/{name}.ipynb",
        needs=lambda chapter: NEEDS[chapter.name],
    output:
        "_build/executed/{name}.ipynb",
    threads: 1
    # exec, so that the run notices when Snakemake is gone; one thread each, because chapters run side by side
    shell:
        "OMP_NUM_THREADS={threads} OPENBLAS_NUM_THREADS={threads} MKL_NUM_THREADS={threads} "
        "exec {PYTHON} -m model_collapse.book execute {input.notebook} {output}"


rule pages:
    input:
        "_config.yml",
        "_toc.yml",
        "chapters/references.bib",
        "requirements.lock",
        TEXTS,
        STATIC,
        MODULES,
        expand("_build/executed/{name}.ipynb", name=CHAPTERS),
    output:
        "_build/html/index.html",
    shell:
        "exec {PYTHON} -m model_collapse.book pages"
