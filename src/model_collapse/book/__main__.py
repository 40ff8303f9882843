"""``python -m model_collapse.book``: the steps of the build, as make and Snakemake call them."""

from __future__ import annotations

import argparse
import sys


def main(arguments: list[str] | None = None) -> int:
    """Run one step of the build."""
    parser = argparse.ArgumentParser(prog="python -m model_collapse.book", description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    steps.add_parser("build", help="bring the book up to date").add_argument("--cores", default="all")
    execute = steps.add_parser("execute", help="execute one chapter")
    execute.add_argument("notebook")
    execute.add_argument("output")
    steps.add_parser("pages", help="stage the pages, build the HTML and check it")
    steps.add_parser("check", help="check the HTML that lies in _build/html")
    steps.add_parser("pdf", help="print the executed book as one PDF")
    steps.add_parser("release", help="bring site, PDF and records together under _build/release")
    steps.add_parser("readme", help="fill README.md with a picture and the verdicts, from the archive")
    steps.add_parser("imports", help="print the modules that executed chapters imported, for chapters/imports.yml")
    given = parser.parse_args(arguments)

    from ..archive import ArchiveError
    from . import pages, printing, running

    if given.step == "build":
        return running.build(given.cores)
    if given.step == "execute":
        running.execute(given.notebook, given.output)
    elif given.step == "imports":
        for name in pages.notebooks():
            found = pages.really_imported(name)
            print(f"{name}:\n  modules: [{', '.join(found)}]" if found else f"{name}: not executed yet")
    else:
        try:
            if given.step == "pdf":
                print(f"printed {printing.make_pdf()}")
                return 0
            if given.step == "readme":
                from . import readme

                readme.make_readme()
                return 0
            if given.step == "release":
                from . import release

                print("\n".join(str(path) for path in release.make_release()))
                return 0
            if given.step == "pages":
                print("building the pages", flush=True)
                pages.make_pages()
            count = pages.check_html()
            print(f"checked {count} pages: whole, and nothing loaded from elsewhere")
        except (pages.BookError, ArchiveError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
