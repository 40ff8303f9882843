"""What a version of the book is handed on as: the site, the PDF and the records, each with its checksum."""

from __future__ import annotations

import shutil
import zipfile
from importlib import metadata
from pathlib import Path

from .. import planning
from ..archive import file_digest
from ..archive.crate import crate_of
from ..runs import results_root
from . import pages, printing
from .checkout import NAME, commit

__all__ = ["RELEASE", "make_release", "zip_site"]

RELEASE = pages.BUILD / "release"
SUMS = "SHA256SUMS"


def make_release(target: Path = RELEASE) -> list[Path]:
    """Bring together ``<name>-<version>-{site.zip,book.pdf,records.zip}``, ``CITATION.cff`` and SHA256SUMS.

    The records lie in their zip as an RO-Crate; unpacked, its folder is what ``MODEL_COLLAPSE_RESULTS`` may name.

    Raises
    ------
    BookError
        Where the book or its PDF has not been built, or the checkout holds what no commit does.
    ArchiveError
        Where a record cannot be trusted.
    """
    if not (pages.HTML / "index.html").is_file() or not printing.PDF.is_file():
        raise pages.BookError("there is no book yet: make pdf")
    now = commit()
    if now is None or now.changed:
        raise pages.BookError("a release is made from a commit, and this checkout is not one: commit what has changed")
    version = metadata.version(NAME)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    stem = f"{NAME}-{version}"
    zip_site(pages.HTML, target / f"{stem}-site.zip")
    shutil.copyfile(printing.PDF, target / f"{stem}-book.pdf")
    shutil.copyfile("CITATION.cff", target / "CITATION.cff")
    root = results_root()
    crate_of(root, planning.archived(root), version, now.date).write_zip(target / f"{stem}-records.zip")
    files = sorted(target.iterdir())
    (target / SUMS).write_text("".join(f"{file_digest(path)}  {path.name}\n" for path in files))
    return [*files, target / SUMS]


def zip_site(html: Path, target: Path) -> None:
    """The pages, so that opening ``index.html`` of the unpacked folder shows the book."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in html.rglob("*") if path.is_file()):
            archive.write(path, Path(target.stem) / path.relative_to(html))
