"""What a version of the book is handed on as: the site, the PDF and the records, each with its checksum."""

from __future__ import annotations

import os
import shutil
import zipfile
from html import escape
from importlib import metadata
from pathlib import Path

from .. import planning
from ..archive import file_digest
from ..archive.crate import crate_of
from . import pages, printing
from .checkout import NAME, commit, made_of

__all__ = ["RELEASE", "make_release", "zip_site"]

RELEASE = pages.BUILD / "release"
RESULTS = Path("data/results")
SUMS = "SHA256SUMS"


def make_release(target: Path = RELEASE) -> list[Path]:
    """Bring together ``<name>-<version>-{site.zip,book.pdf,records.zip}``, ``CITATION.cff`` and SHA256SUMS.

    The records lie in their zip as an RO-Crate; unpacked, its folder is what ``MODEL_COLLAPSE_RESULTS`` may name. An
    earlier release goes when this one is whole.

    Raises
    ------
    BookError
        Where the book or its PDF has not been built, the checkout holds what no commit does, or it has no records of
        its own.
    ArchiveError
        Where a record cannot be trusted.
    """
    if not (pages.HTML / "index.html").is_file() or not printing.PDF.is_file():
        raise pages.BookError("there is no book yet: make pdf")
    now = commit()
    if now is None or now.changed:
        raise pages.BookError("a release is made from a commit, and this checkout is not one: commit what has changed")
    folders = planning.archived(RESULTS)
    if not folders or "MODEL_COLLAPSE_RESULTS" in os.environ:
        raise pages.BookError(
            f"a release carries the records of {RESULTS}, and no others: unset MODEL_COLLAPSE_RESULTS"
        )
    _name_this_commit()
    version = metadata.version(NAME)
    crate = crate_of(RESULTS, folders, version, now.date)
    aside = target.with_name(f".{target.name}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    stem = f"{NAME}-{version}"
    zip_site(pages.HTML, aside / f"{stem}-site.zip")
    shutil.copyfile(printing.PDF, aside / f"{stem}-book.pdf")
    shutil.copyfile("CITATION.cff", aside / "CITATION.cff")
    crate.write_zip(aside / f"{stem}-records.zip")
    sums = [f"{file_digest(path)}  {path.name}\n" for path in sorted(aside.iterdir())]
    (aside / SUMS).write_text("".join(sums))
    shutil.rmtree(target, ignore_errors=True)
    aside.rename(target)
    return sorted(target.iterdir())


def zip_site(html: Path, target: Path) -> None:
    """The pages, so that opening ``index.html`` of the unpacked folder shows the book."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in html.rglob("*") if path.is_file()):
            archive.write(path, Path(target.stem) / path.relative_to(html))


def _name_this_commit() -> None:
    """Build the pages again where they were built before what they hold was committed, and say so in their foot."""
    some = pages.HTML / f"{pages.toc_pages()[0]}.html"
    if escape(made_of()) not in some.read_text(encoding="utf-8"):
        pages.make_pages()
        pages.check_html()
