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
    plain = {
        "pages": (_pages, "stage the pages, build the HTML and check it"),
        "check": (_check, "check the HTML that lies in _build/html"),
        "pdf": (_pdf, "print the executed book as one PDF"),
        "release": (_release, "bring site, PDF and records together under _build/release"),
        "readme": (_readme, "fill README.md with a picture and the verdicts, from the archive"),
        "imports": (_imports, "print the modules that executed chapters imported, for chapters/imports.yml"),
    }
    for name, (_, words) in plain.items():
        steps.add_parser(name, help=words)
    given = parser.parse_args(arguments)

    from ..archive import ArchiveError
    from . import pages, running

    if given.step == "build":
        return running.build(given.cores)
    if given.step == "execute":
        running.execute(given.notebook, given.output)
        return 0
    try:
        plain[given.step][0]()
    except (pages.BookError, ArchiveError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _pages() -> None:
    from . import pages

    print("building the pages", flush=True)
    pages.make_pages()
    _check()


def _check() -> None:
    from . import pages

    print(f"checked {pages.check_html()} pages: whole, and nothing loaded from elsewhere")


def _pdf() -> None:
    from . import printing

    print(f"printed {printing.make_pdf()}")


def _release() -> None:
    from . import release

    print("\n".join(str(path) for path in release.make_release()))


def _readme() -> None:
    from . import readme

    readme.make_readme()


def _imports() -> None:
    from . import pages

    for name in pages.notebooks():
        found = pages.really_imported(name)
        print(f"{name}:\n  modules: [{', '.join(found)}]" if found else f"{name}: not executed yet")


if __name__ == "__main__":
    sys.exit(main())
