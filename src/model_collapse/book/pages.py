"""The pages of the book: what belongs to it, staging, building the HTML, and checking what came out.

The book is built from a staged copy under ``_build/source``, in which every chapter is its executed notebook. This
module is also a small Sphinx extension (see :func:`setup`) that refuses to build from anything else.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html import escape
from html.parser import HTMLParser
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml

from .checkout import made_of

__all__ = ["BookError", "check_html", "inputs", "make_pages", "notebooks", "really_imported", "stage", "toc_pages"]

BUILD = Path("_build")
SOURCE = BUILD / "source"
EXECUTED = BUILD / "executed"
HTML = BUILD / "html"
LOG = BUILD / "pages.log"
MARKER = ".staged"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
MATHJAX = "sphinx-mathjax-offline/static/mathjax/tex-svg-full.js"


class BookError(Exception):
    """The book cannot be built, or what was built is not whole."""


def toc_pages(toc: Path = Path("_toc.yml")) -> list[str]:
    """Pages of the table of contents in reading order, as paths without suffix (``chapters/theory``)."""

    def walk(node: dict) -> Iterator[str]:
        for key in ("root", "file"):
            if key in node:
                yield str(node[key])
        for key in ("parts", "chapters", "sections"):
            for child in node.get(key) or []:
                yield from walk(child)

    return list(walk(yaml.safe_load(Path(toc).read_text(encoding="utf-8"))))


def _source_of(page: str, root: Path) -> Path:
    for suffix in (".ipynb", ".md"):
        if (root / f"{page}{suffix}").is_file():
            return root / f"{page}{suffix}"
    raise BookError(f"_toc.yml names {page}, but there is neither {page}.ipynb nor {page}.md")


def notebooks(root: Path = Path(".")) -> list[str]:
    """Names of the chapters that are notebooks, in reading order (``theory`` for ``chapters/theory.ipynb``)."""
    sources = [_source_of(page, root) for page in toc_pages(root / "_toc.yml")]
    return [path.stem for path in sources if path.suffix == ".ipynb"]


def _module_files(entry: str, root: Path) -> list[Path]:
    """The files of an entry of chapters/imports.yml: a module, or a wing with all its rooms (``package.wing.*``)."""
    stem = root.joinpath("src", *entry.removesuffix(".*").split("."))
    if entry.endswith(".*"):
        found = sorted(stem.glob("**/*.py"))
    else:
        found = [path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()]
    if not found:
        raise BookError(f"chapters/imports.yml names the module {entry}, which does not exist under src/")
    return found


def covers(entry: str, module: str) -> bool:
    """Whether an entry of chapters/imports.yml stands for a module."""
    wing = entry.removesuffix(".*")
    return module == wing or (entry.endswith(".*") and module.startswith(f"{wing}."))


def inputs(name: str, root: Path = Path(".")) -> list[str]:
    """Files that a chapter depends on, beside its notebook: its modules, its records, the citations and the lock.

    ``chapters/imports.yml`` says which: for each chapter the modules that its kernel imports, the folders of
    ``data/results`` that it reads (its own name unless said otherwise), and other files, by pattern.
    """
    row = (yaml.safe_load((root / "chapters/imports.yml").read_text(encoding="utf-8")) or {}).get(name)
    if not row or "modules" not in row:
        raise BookError(f"chapters/imports.yml has no row for the chapter {name}: add the modules that it imports")
    files = [path for entry in row["modules"] for path in _module_files(entry, root)]
    for family in row.get("records", [name]):
        files += sorted(path for path in (root / "data/results" / family).rglob("*") if path.is_file())
    files += [path for pattern in row.get("files", []) for path in sorted(root.glob(pattern))]
    files += [root / "requirements.lock", root / "data/citations.csv"]
    return [path.as_posix() for path in files if path.exists()]


def really_imported(name: str, root: Path = Path(".")) -> list[str] | None:
    """Modules of this package that the executed chapter imported, from its stamp; None without executed chapter."""
    path = root / EXECUTED / f"{name}.ipynb"
    if not path.is_file():
        return None
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            if "model_collapse" in output.get("metadata", {}):
                return output["metadata"]["model_collapse"]["modules"]
    return []


def stage(root: Path = Path("."), into: Path = SOURCE) -> list[str]:
    """Make the source that the book is built from: pages, executed notebooks, styles and MathJax; the pages staged."""
    pages = toc_pages(root / "_toc.yml")
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    for page in pages:
        source = _source_of(page, root)
        if source.suffix == ".ipynb":
            source = root / EXECUTED / source.name
            if not source.is_file():
                raise BookError(f"{page} has not been executed: {source} is missing")
        target = into / f"{page}{source.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    for name in ("_toc.yml", "chapters/references.bib"):
        (into / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(root / name, into / name)
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    config["html"]["extra_footer"] += f'<p class="made-of">{escape(made_of(root))}</p>'
    (into / "_config.yml").write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    shutil.copytree(root / "chapters/_static", into / "_static")
    # Beside _static, because Jupyter Book loads every script of _static on every page.
    mathjax = into / "_mathjax/mathjax/tex-svg-full.js"
    mathjax.parent.mkdir(parents=True)
    shutil.copyfile(_mathjax(), mathjax)
    _stage_live(root / "chapters/_explorable", into)
    (into / MARKER).write_text("staged by make book\n")
    return pages


def _stage_live(folder: Path, into: Path) -> None:
    """What runs in a reader's browser: the piece of a page beside that page, its script beside MathJax."""
    for source in sorted(folder.glob("*")):
        target = into / ("_mathjax" if source.suffix == ".js" else f"chapters/{folder.name}") / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _mathjax() -> Path:
    for file in metadata.distribution("sphinx-mathjax-offline").files or []:
        if file.as_posix() == MATHJAX:
            return Path(file.locate())
    raise BookError(f"the package sphinx-mathjax-offline carries no {MATHJAX}: is it the version of the lock?")


def make_pages() -> None:
    """Stage the source and build ``_build/html`` from it, with warnings as errors and from nothing.

    Nothing of an earlier build is used again: Sphinx does not repeat the warnings of pages that it takes from its
    cache, so a book with warnings would pass at the second try.
    """
    stage()
    for left in (HTML, BUILD / ".doctrees", BUILD / ".jupyter_cache"):
        shutil.rmtree(left, ignore_errors=True)
    run_jupyter_book("--path-output", ".", "-n", "-W", "--keep-going")


def run_jupyter_book(*options: str) -> None:
    """Run ``jupyter-book build`` on the staged source; what it says goes to a log.

    Raises
    ------
    BookError
        Where it fails, with its warnings and errors.
    """
    book = Path(sys.executable).with_name("jupyter-book")
    command = [str(book), "build", str(SOURCE), *options]
    done = subprocess.run(
        command, env=os.environ | {"NO_COLOR": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    log = _COLOURS.sub("", done.stdout.decode(errors="replace"))
    LOG.write_text(log, encoding="utf-8")
    if done.returncode:
        found = [line for line in log.splitlines() if re.search(r"WARNING|ERROR|CRITICAL|[Ee]rror:", line)]
        raise BookError("jupyter-book failed or warned:\n  " + "\n  ".join(found or log.splitlines()[-20:]))


class _References(HTMLParser):
    """Collects what a page loads and where it leads."""

    _LOADS = {"script", "img", "iframe", "source", "video", "audio", "embed", "track"}

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        if tag in self._LOADS:
            self.loads += [values[key] for key in ("src", "poster") if values.get(key)]
            self.loads += [part.split()[0] for part in values.get("srcset", "").split(",") if part.split()]
        elif tag == "link" and values.get("rel") not in {"canonical", "next", "prev", "search", "index", "author"}:
            self.loads.append(values.get("href", ""))
        elif tag == "object":
            self.loads.append(values.get("data", ""))
        elif tag == "a":
            self.links.append(values.get("href", ""))


def _is_foreign(url: str) -> bool:
    parts = urlsplit(url)
    return bool(parts.netloc) or parts.scheme in {"http", "https", "ftp"}


def _problems(page: Path, html: Path) -> Iterator[str]:
    parser = _References()
    parser.feed(page.read_text(encoding="utf-8"))
    name = page.relative_to(html).as_posix()
    for url in parser.loads:
        if _is_foreign(url):
            yield f"{name} loads {url} from elsewhere"
    for url in parser.loads + parser.links:
        parts = urlsplit(url)
        if parts.scheme or parts.netloc or not parts.path:
            continue
        if not (page.parent / unquote(parts.path)).exists():
            yield f"{name} points to {url}, which does not exist"


def check_html(html: Path = HTML, toc: Path = Path("_toc.yml")) -> int:
    """Check that the built book is whole and stands on its own; the number of pages.

    Raises
    ------
    BookError
        Naming every page of the table of contents that is missing, everything that a page would load from elsewhere,
        and every local reference that leads nowhere.
    """
    expected = ["index", *toc_pages(toc)]
    problems = [f"{page}.html is missing" for page in expected if not (html / f"{page}.html").is_file()]
    for page in sorted(html.rglob("*.html")):
        if page.relative_to(html).parts[0] != "_static":
            problems += sorted(set(_problems(page, html)))
    for sheet in sorted(html.rglob("*.css")):
        text = sheet.read_text(encoding="utf-8")
        if "url(http" in text or "url(//" in text or "@import url" in text:
            problems.append(f"{sheet.relative_to(html)} loads from elsewhere")
    if problems:
        raise BookError(f"{html} is not whole:\n  " + "\n  ".join(problems))
    return len(expected)


def setup(app) -> dict:
    """Sphinx extension: build from the staged source alone, serve MathJax from the book itself, leave out Thebe."""
    from sphinx.errors import ConfigError

    if not (Path(app.srcdir) / MARKER).is_file():
        raise ConfigError("chapters carry no outputs here: run `make book`, which executes them and builds the pages")

    def own_scripts(app, config) -> None:
        config.html_static_path = [*config.html_static_path, "_mathjax"]
        # Jupyter Book always loads Thebe, which has no button here and would fetch its code from elsewhere.
        for event in ("env-before-read-docs", "doctree-resolved"):
            for listener in list(app.events.listeners.get(event, [])):
                if listener.handler.__module__ == "sphinx_thebe":
                    app.disconnect(listener.id)

    def items_of_a_list(app, name, template, context, doctree) -> None:
        # The list of references says that it is a list, of which its entries know nothing.
        context["body"] = context.get("body", "").replace('role="doc-biblioentry"', 'role="listitem"')

    app.connect("config-inited", own_scripts)
    app.connect("html-page-context", items_of_a_list)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
