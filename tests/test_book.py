"""The book as it is built: staging, the checks of the pages, the build itself, and every page in a browser."""

from __future__ import annotations

import functools
import gzip
import http.server
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import yaml
from conftest import ROOT, missing, notebook

from model_collapse import expectations
from model_collapse.book import pages, printing, running
from model_collapse.claims import CLAIMS

SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


# A small book to work on -------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A repository with two chapters and a page, configured as the real one."""
    (tmp_path / "chapters/_static").mkdir(parents=True)
    (tmp_path / "src").symlink_to(ROOT / "src")
    for name in ("_config.yml", "Snakefile", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("logo.svg", "favicon.svg"):
        shutil.copy(ROOT / "chapters/_static" / name, tmp_path / "chapters/_static" / name)
    toc = {"format": "jb-book", "root": "chapters/index"}
    toc["parts"] = [{"caption": "One", "chapters": [{"file": "chapters/one"}, {"file": "chapters/page"}]}]
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc))
    row = {"modules": ["model_collapse", "model_collapse.book", "model_collapse.book.environment"], "records": []}
    (tmp_path / "chapters/imports.yml").write_text(yaml.safe_dump({"index": row, "one": row}))
    (tmp_path / "chapters/references.bib").write_text("")
    (tmp_path / "chapters/page.md").write_text("# A page\n\nText with $x^2$.\n")
    stamp = "from model_collapse.book import stamp\nstamp()"
    (tmp_path / "chapters/index.ipynb").write_text(notebook(("markdown", "# Welcome"), ("code", stamp)))
    wait = "import pathlib, time\npathlib.Path('started').touch()\ntime.sleep(pathlib.Path('slow').exists() * 60)"
    (tmp_path / "chapters/one.ipynb").write_text(notebook(("markdown", "# One"), ("code", wait), ("code", stamp)))
    return tmp_path


def _executed(small: Path) -> Path:
    """Pretend that both chapters have been executed."""
    executed = small / "_build/executed"
    executed.mkdir(parents=True)
    for name in ("index", "one"):
        shutil.copy(small / f"chapters/{name}.ipynb", executed / f"{name}.ipynb")
    return executed


# What belongs to the book ------------------------------------------------------------------------------------------


def test_pages_come_in_reading_order(small: Path) -> None:
    assert pages.toc_pages(small / "_toc.yml") == ["chapters/index", "chapters/one", "chapters/page"]
    assert pages.notebooks(small) == ["index", "one"]


def test_a_page_without_source_is_named(small: Path) -> None:
    (small / "chapters/page.md").unlink()
    with pytest.raises(pages.BookError, match="neither chapters/page.ipynb nor chapters/page.md"):
        pages.notebooks(small)


def test_a_chapter_depends_on_modules_records_and_lock(small: Path) -> None:
    record = small / "data/results/one/run/manifest.json"
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    table = {"one": {"modules": ["model_collapse.book"]}}
    (small / "chapters/imports.yml").write_text(yaml.safe_dump(table))
    inputs = [Path(path).relative_to(small).as_posix() for path in pages.inputs("one", small)]
    assert inputs == ["src/model_collapse/book/__init__.py", "data/results/one/run/manifest.json", "requirements.lock"]


@pytest.mark.parametrize(
    ("table", "message"),
    [({}, "no row for the chapter one"), ({"one": {"modules": ["model_collapse.none"]}}, "model_collapse.none")],
)
def test_the_table_of_imports_must_hold(small: Path, table: dict, message: str) -> None:
    (small / "chapters/imports.yml").write_text(yaml.safe_dump(table))
    with pytest.raises(pages.BookError, match=message):
        pages.inputs("one", small)


# Staging and checking ----------------------------------------------------------------------------------------------


def test_staging_takes_the_executed_chapters(small: Path) -> None:
    executed = _executed(small)
    (executed / "one.ipynb").write_text("executed")
    into = small / "_build/source"
    assert pages.stage(small, into) == ["chapters/index", "chapters/one", "chapters/page"]
    assert (into / "chapters/one.ipynb").read_text() == "executed"
    assert (into / "chapters/page.md").is_file()
    assert (into / "_mathjax/mathjax/tex-svg-full.js").stat().st_size > 1_000_000
    assert (into / pages.MARKER).is_file()
    assert f"Version {version('model-collapse-replicated')}, " in (into / "_config.yml").read_text()


def test_staging_refuses_a_chapter_that_was_not_executed(small: Path) -> None:
    (_executed(small) / "one.ipynb").unlink()
    with pytest.raises(pages.BookError, match="chapters/one has not been executed"):
        pages.stage(small, small / "_build/source")


def _html(small: Path, body: str = "") -> Path:
    html = small / "_build/html"
    (html / "chapters").mkdir(parents=True)
    for page in ("index", "chapters/index", "chapters/one", "chapters/page"):
        (html / f"{page}.html").write_text(f"<html><body>{body}</body></html>")
    return html


def test_a_whole_book_passes(small: Path) -> None:
    html = _html(small, '<a href="https://doi.org/10.1038/x">a link may lead elsewhere</a><a href="#top">top</a>')
    assert pages.check_html(html, small / "_toc.yml") == 4


@pytest.mark.parametrize("page", ["index", "chapters/one", "chapters/page"])
def test_a_missing_page_is_named(small: Path, page: str) -> None:
    html = _html(small)
    (html / f"{page}.html").unlink()
    with pytest.raises(pages.BookError, match=f"\n  {page}.html is missing"):
        pages.check_html(html, small / "_toc.yml")


@pytest.mark.parametrize(
    "body",
    [
        '<script src="https://example.org/x.js"></script>',
        '<link rel="stylesheet" href="//example.org/x.css">',
        '<link href="https://example.org/x.woff2" rel="preload" as="font">',
        '<img alt="" src="http://example.org/x.png">',
        '<img alt="" srcset="https://example.org/x.png 2x">',
        '<iframe src="https://example.org"></iframe>',
    ],
)
def test_what_would_be_loaded_from_elsewhere_is_named(small: Path, body: str) -> None:
    with pytest.raises(pages.BookError, match=r"chapters/one.html loads \S*example.org"):
        pages.check_html(_html(small, body), small / "_toc.yml")


def test_a_link_that_leads_nowhere_is_named(small: Path) -> None:
    with pytest.raises(pages.BookError, match="chapters/page.html points to nowhere.html"):
        pages.check_html(_html(small, '<a href="nowhere.html#there">x</a>'), small / "_toc.yml")


# Building ----------------------------------------------------------------------------------------------------------


def _run(small: Path, *command: str, **options) -> subprocess.CompletedProcess:
    env = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    call = [sys.executable, "-m", *command]
    return subprocess.run(call, cwd=small, env=env, capture_output=True, text=True, check=False, **options)


def test_one_build_at_a_time(tmp_path: Path) -> None:
    with running.only_build(tmp_path / "lock"), pytest.raises(SystemExit, match="another build of this checkout"):
        running.only_build(tmp_path / "lock")
    running.only_build(tmp_path / "lock").close()


def test_jupyter_book_alone_does_not_build_empty_chapters(small: Path) -> None:
    book = Path(sys.executable).with_name("jupyter-book")
    done = subprocess.run([book, "build", "."], cwd=small, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "run `make book`" in done.stdout + done.stderr
    assert not (small / "_build/html/chapters").exists()


@pytest.mark.slow
def test_built_twice_killed_and_built_again(small: Path) -> None:
    first = _run(small, "model_collapse.book", "build")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "checked 4 pages" in first.stdout
    second = _run(small, "model_collapse.book", "build")
    assert second.stdout.splitlines() == ["make book: nothing to do, _build/html/index.html is up to date"]

    # Cut off while a chapter runs: its process goes too, and the next build is neither refused nor deceived.
    (small / "slow").touch()
    (small / "started").unlink()
    (small / "chapters/one.ipynb").write_text((small / "chapters/one.ipynb").read_text().replace("# One", "# Two"))
    env = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    cut = subprocess.Popen(
        [sys.executable, "-m", "model_collapse.book", "build"], cwd=small, env=env, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not (small / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    refused = _run(small, "model_collapse.book", "build")
    assert refused.returncode != 0
    assert "another build of this checkout is running" in refused.stderr
    cut.send_signal(signal.SIGKILL)
    cut.wait()
    (small / "slow").unlink()
    third = _run(small, "model_collapse.book", "build")
    assert third.returncode == 0, third.stdout + third.stderr
    assert "executed chapters/one.ipynb" in third.stdout
    assert "Two" in (small / "_build/html/chapters/one.html").read_text()


# In a browser, with the network off --------------------------------------------------------------------------------


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


_LOOK = """async () => {
    if (window.MathJax?.startup?.promise) await MathJax.startup.promise;
    const article = document.querySelector("article") ?? document.body;
    const prose = article.cloneNode(true);
    prose.querySelectorAll("pre, code, script, mjx-container").forEach(e => e.remove());
    return {
        width: document.scrollingElement.scrollWidth,
        math: article.querySelectorAll("span.math, div.math").length,
        equations: article.querySelectorAll("mjx-container > svg").length,
        broken: article.querySelectorAll("[data-mml-node=merror]").length,
        text: prose.textContent,
        images: [...article.querySelectorAll("img")].map(e => [e.alt, e.naturalWidth]),
    };
}"""


@pytest.fixture(scope="session")
def browser():
    if not printing.CHROMIUM.is_file():
        missing(f"no browser: {printing.CHROMIUM} is missing (apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=printing.CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def visits(book: Path, browser) -> dict[str, dict]:
    """What every page of the book shows on a narrow screen: page → findings."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=book))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}/"
    names = sorted(path.relative_to(book).as_posix() for path in book.rglob("*.html") if "_static" not in path.parts)
    found: dict[str, dict] = {}
    context = browser.new_context(viewport={"width": 360, "height": 800})
    page = context.new_page()
    errors: list[str] = []
    foreign: list[str] = []

    def only_the_book(route) -> None:
        if route.request.url.startswith((base, "data:", "blob:")):
            route.continue_()
        else:
            foreign.append(route.request.url)
            route.abort()

    context.route("**/*", only_the_book)
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("requestfailed", lambda request: errors.append(f"{request.failure}: {request.url}"))
    page.on("response", lambda reply: errors.append(f"{reply.status}: {reply.url}") if not reply.ok else None)
    for name in names:
        page.goto(base + name, wait_until="load")
        if name == "index.html":
            page.wait_for_url(re.compile("chapters/index.html$"))
            page.wait_for_load_state("load")
        seen = [error for error in errors if "ERR_ABORTED" not in error]  # the page was left before an icon came
        found[name] = page.evaluate(_LOOK) | {"errors": seen, "foreign": foreign.copy()}
        errors.clear()
        foreign.clear()
    context.close()
    server.shutdown()
    server.server_close()
    return found


def test_every_page_was_opened(visits: dict[str, dict]) -> None:
    assert {f"{page}.html" for page in ["index", *pages.toc_pages(ROOT / "_toc.yml")]} <= set(visits)


def test_no_page_reports_an_error(visits: dict[str, dict]) -> None:
    assert {name: seen["errors"] for name, seen in visits.items() if seen["errors"]} == {}


def test_no_page_asks_for_anything_from_elsewhere(visits: dict[str, dict]) -> None:
    assert {name: seen["foreign"] for name, seen in visits.items() if seen["foreign"]} == {}


def test_equations_are_rendered(visits: dict[str, dict]) -> None:
    assert sum(seen["equations"] for seen in visits.values()) > 0
    for name, seen in visits.items():
        assert seen["equations"] >= seen["math"], f"{name}: {seen['math']} formulas, {seen['equations']} rendered"
        assert seen["broken"] == 0, f"{name} has a formula that MathJax cannot read"
        assert not re.search(r"\\[(\[]|\$\$", seen["text"]), f"{name} shows raw TeX"


def test_no_page_scrolls_sideways(visits: dict[str, dict]) -> None:
    assert {name: seen["width"] for name, seen in visits.items() if seen["width"] > 360} == {}


def test_every_figure_says_what_it_shows(visits: dict[str, dict]) -> None:
    for name in (f"{page}.html" for page in pages.toc_pages(ROOT / "_toc.yml")):
        seen = visits[name]
        texts = [alt for alt, _ in seen["images"]]
        assert all(len(alt.split()) >= 3 for alt in texts), f"{name} has a figure without alternative text: {texts}"
        assert len(set(texts)) == len(texts), f"{name} has two figures with one alternative text: {texts}"
        assert all(width > 0 for _, width in seen["images"]), f"{name} has a figure that does not load"


# What one can do on a page, with the network off ------------------------------------------------------------------


@pytest.fixture
def offline(book: Path, browser):
    """Open a page of the book from the disk, in a browser that is offline; options as of a browser context."""
    contexts = []

    def visit(page: str, **options):
        contexts.append(browser.new_context(offline=True, **options))
        opened = contexts[-1].new_page()
        opened.goto((book / page).as_uri(), wait_until="load")
        return opened

    yield visit
    for context in contexts:
        context.close()


def test_the_animation_plays_and_pauses(offline) -> None:
    page = offline("chapters/gmm.html")
    box = page.locator(".animation").first
    frame, button, label = box.locator(".frame"), box.get_by_role("button"), box.locator("output")
    begin = frame.screenshot()
    assert label.inner_text() == "generation 0" and button.inner_text() == "Play"
    button.click()
    page.wait_for_function("document.querySelector('.animation input').value > 3")
    assert button.inner_text() == "Pause" and label.get_attribute("aria-live") == "off"  # not read out frame by frame
    button.click()
    assert label.get_attribute("aria-live") == "polite"
    assert button.inner_text() == "Play"
    paused = label.inner_text()
    page.wait_for_timeout(500)
    assert label.inner_text() == paused != "generation 0" and frame.screenshot() != begin


def test_the_animation_answers_the_keyboard(offline) -> None:
    page = offline("chapters/gmm.html")
    box = page.locator(".animation").first
    slider = box.get_by_role("slider")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert box.locator("output").inner_text() == "generation 1"
    page.keyboard.press("End")
    assert box.locator("output").inner_text() == slider.get_attribute("aria-valuetext") == "generation 2,050"
    box.get_by_role("button").focus()
    page.keyboard.press("Enter")  # at the end, play begins again
    page.wait_for_function("document.querySelector('.animation output').textContent.length < 14")
    last = page.evaluate("document.querySelector('.animation .frame').style.backgroundPosition")
    assert last and last != "100% 100%"


def test_who_prefers_less_motion_steps(offline) -> None:
    page = offline("chapters/gmm.html", reduced_motion="reduce")
    box = page.locator(".animation").first
    assert box.get_by_role("button").inner_text() == "Step"
    box.get_by_role("button").click()
    page.wait_for_timeout(600)
    assert box.locator("output").inner_text() == "generation 1" and box.get_by_role("button").inner_text() == "Step"
    box.get_by_role("slider").focus()
    page.keyboard.press("End")
    box.get_by_role("button").click()
    assert box.locator("output").inner_text() == "generation 0"


def test_the_scorecard_shows_every_claim_and_leads_to_its_figure(offline, book: Path) -> None:
    page = offline("chapters/scorecard.html", viewport={"width": 1200, "height": 900})
    rows = page.locator("table.verdicts tbody tr")
    assert [row.split()[0] for row in rows.locator("td:first-child").all_inner_texts()] == [c.id for c in CLAIMS]
    row = rows.filter(has=page.get_by_role("link", name="G2", exact=True))
    assert "0.90 to 0.010" in row.inner_text() and "chains" in row.inner_text()
    row.locator("summary").click()
    assert "Median component spread" in row.locator("details").inner_text()
    with page.expect_navigation():
        row.get_by_role("link", name="G2", exact=True).click()
    name, _, anchor = page.url.rpartition("/")[2].partition("#")
    assert name == "gmm.html" and page.locator(f"[id='{anchor}']").count() == 1


def test_a_verdict_stays_clear_of_the_next_column(offline) -> None:
    page = offline("chapters/scorecard.html", viewport={"width": 1200, "height": 900})
    room = """all => all.map(badge => {
        const cell = badge.closest("td"), right = cell.getBoundingClientRect().right
        return right - parseFloat(getComputedStyle(cell).paddingRight) - badge.getBoundingClientRect().right
    })"""
    left = page.locator("table.verdicts td:first-child .verdict").evaluate_all(room)
    assert len(left) == len(CLAIMS) and min(left) >= 0


@pytest.mark.parametrize("name", [*pages.toc_pages(ROOT / "_toc.yml"), "search"])
def test_a_page_can_be_read_by_other_means_than_eyes(offline, name: str) -> None:
    """No serious finding of axe-core: on the whole page where it is wide and light, in the article on a dark phone."""
    from axe_playwright_python.sync_playwright import Axe

    for scheme, width, part in (("light", 1250, None), ("dark", 360, "main article")):
        page = offline(f"{name}.html", color_scheme=scheme, viewport={"width": width, "height": 900})
        page.evaluate("async () => { if (window.MathJax?.startup?.promise) await MathJax.startup.promise }")
        if part is None or page.locator(part).count():
            found = Axe().run(page, context=part, options={"resultTypes": ["violations"]}).response["violations"]
            serious = [one for one in found if one["impact"] in ("serious", "critical")]
            assert not serious, [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in serious]


TERMS = {"theory": "absorption", "gmm": "components", "vae": "latent", "remedies": "vault", "provenance": "ledger"}
TERMS |= {"affected": "tumours", "warning": "alarm", "related": "performative", "press": "jackrabbits"}
TERMS |= {"explore": "browser", "running": "papermill", "replication": "checklist", "llm": "beams", "gan": "latents"}
TERMS |= {"scorecard": "fingerprint", "records": "processors", "benchmarks": "plain", "costs": "pace"}
TERMS |= {"api": "regimes", "api_families": "networks", "api_evidence": "ledger"}


@pytest.mark.parametrize("page", TERMS)
def test_search_finds_a_word_of_every_chapter(offline, page: str) -> None:
    opened = offline("search.html")
    opened.goto(f"{opened.url}?q={TERMS[page]}", wait_until="load")
    opened.wait_for_selector(f"#search-results ul.search li > a[href*='chapters/{page}.html']", timeout=20_000)


@pytest.mark.parametrize("name", ["press", "scorecard"])
def test_a_chapter_that_was_downloaded_runs(offline, book: Path, tmp_path: Path, name: str) -> None:
    """From the button at its head, in another folder, from top to bottom."""
    page = offline(f"chapters/{name}.html", viewport={"width": 1250, "height": 900})
    leads = page.eval_on_selector_all("a", "all => all.map(a => a.getAttribute('href'))")
    (source,) = {link for link in leads if link and link.endswith(f"{name}.ipynb")}
    shutil.copy(book / "chapters" / source, tmp_path / "it.ipynb")
    command = [sys.executable, "-m", "papermill", "--cwd", str(tmp_path), "it.ipynb", "done.ipynb", "-k", "python3"]
    env = os.environ | {"JUPYTER_PREFER_ENV_PATH": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert '"output_type": "display_data"' in (tmp_path / "done.ipynb").read_text()


# What a page weighs, and who can tell its colours -----------------------------------------------------------------


def _loaded(page: Path) -> set[Path]:
    parser = pages._References()
    parser.feed(page.read_text(encoding="utf-8"))
    found = (page.parent / unquote(url.partition("?")[0]) for url in parser.loads if not url.startswith("data:"))
    return {path.resolve() for path in found if path.is_file()}


def test_no_page_is_heavy(book: Path) -> None:
    """With all that it loads, as servers send it, at most 3 MB; what it is alone, as it lies there, at most as much."""
    packed = functools.cache(lambda path: len(gzip.compress(path.read_bytes(), 6)))
    for name in pages.toc_pages(ROOT / "_toc.yml"):
        page = book / f"{name}.html"
        loaded = _loaded(page)
        own = page.stat().st_size + sum(path.stat().st_size for path in loaded if path.parent.name == "_images")
        assert own < 3e6, f"{name}: {own / 1e6:.1f} MB of its own"
        sent = sum(map(packed, {page, *loaded}))
        assert sent < 3e6, f"{name}: {sent / 1e6:.1f} MB are sent"


# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB
BLINDNESS = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize("palette", ["regimes", "decodings"])
def test_the_colour_blind_can_tell_curves_apart(blindness: str, palette: str) -> None:
    from matplotlib.colors import to_rgb
    from skimage.color import deltaE_ciede2000, rgb2lab

    from model_collapse.figures import REGIME_COLOURS
    from model_collapse.figures.llm import DECODING_COLOURS

    named = {"regimes": REGIME_COLOURS, "decodings": DECODING_COLOURS}[palette]
    rgb = np.array([to_rgb(colour) for colour in named.values()])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(BLINDNESS[blindness]).T, 0, 1)
    shown = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    lab = rgb2lab(shown)
    apart = deltaE_ciede2000(lab[:, None], lab[None]) + 1e3 * np.eye(len(lab))
    nearest = np.unravel_index(apart.argmin(), apart.shape)
    assert apart.min() > 5, f"{[list(named)[k] for k in nearest]}: {apart.min():.1f}"


# The book on paper ---------------------------------------------------------------------------------------------------


def _printable(folder: Path, body: str) -> Path:
    page = folder / "page.html"
    page.write_text(f"<!doctype html><html data-theme='dark'><body>{body}</body></html>")
    return page


def test_a_page_is_printed_whole_or_not_at_all(tmp_path: Path, browser) -> None:
    shutil.copy(ROOT / "chapters/_static/logo.svg", tmp_path / "there.svg")
    chapter = "<div class='toctree-wrapper'><section>One</section><section>Two</section></div>"
    printing.print_page(browser, _printable(tmp_path, f"Front<img src='there.svg'>{chapter}"), tmp_path / "book.pdf")
    printed = (tmp_path / "book.pdf").read_bytes()
    assert printed.startswith(b"%PDF") and len(re.findall(rb"/Type\s*/Page\b", printed)) == 3
    with pytest.raises(pages.BookError, match="cannot be printed whole: gone.png"):
        printing.print_page(browser, _printable(tmp_path, "<img src='gone.png'>"), tmp_path / "other.pdf")
    with pytest.raises(pages.BookError, match="cannot be printed whole: x"):
        printing.print_page(browser, _printable(tmp_path, "<span class='math'>x</span>"), tmp_path / "other.pdf")
    assert not (tmp_path / "other.pdf").exists()


@pytest.mark.slow
def test_the_pages_become_one_pdf(small: Path, browser) -> None:
    assert _run(small, "model_collapse.book", "build").returncode == 0
    done = _run(small, "model_collapse.book", "pdf")
    assert done.returncode == 0 and done.stdout == "printed _build/book.pdf\n", done.stdout + done.stderr
    printed = (small / "_build/book.pdf").read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 3  # the landing page, a chapter, a page


def test_the_scorecard_shows_only_what_is_asked_for(offline) -> None:
    page = offline("chapters/scorecard.html")
    box, rows = page.locator(".filters"), page.locator("table.verdicts tbody tr")
    every = {claim.id: claim for claim in CLAIMS}
    assert box.locator("output").inner_text() == f"{len(CLAIMS)} of {len(CLAIMS)} rows"
    box.locator("[name=family]").select_option("gaussian")
    box.locator("[name=source]").select_option("Shumailov et al. 2024")
    shown = [row.split()[0] for row in rows.filter(visible=True).locator("td:first-child").all_inner_texts()]
    wanted = [c.id for c in every.values() if (c.family, c.group) == ("gaussian", "Shumailov et al. 2024")]
    assert shown == wanted and box.locator("output").inner_text() == f"{len(wanted)} of {len(CLAIMS)} rows"
    assert page.get_by_role("heading", name="The paper").is_visible()
    assert page.get_by_role("heading", name="Its critics").is_hidden()
    box.locator("[name=verdict]").focus()
    page.keyboard.press("r")  # the first verdict that begins so
    named = page.evaluate("document.querySelector('.filters [name=verdict]').value")
    assert named == "replicated"
    marks = rows.filter(visible=True).locator(".verdict").all_inner_texts()
    assert marks and set(marks) == {"replicated"}
    box.get_by_role("button").click()
    assert rows.filter(visible=True).count() == len(CLAIMS)


# The two loops that run in a reader's browser -----------------------------------------------------------------------


def _chains(page, name: str, regime: str, generations: int, *, n: int, share: float = 0.0) -> dict[str, np.ndarray]:
    """What the page's own script computes of a thousand chains: metrics of shape (generations + 1, chains)."""
    settings = {"n": n, "share": share, "regime": regime}
    found = page.evaluate("a => explorable.chains(...a)", [name, settings, generations, 1000, 1])
    return {metric: np.array(values) for metric, values in found.items()}


def _near(values: np.ndarray, expected: np.ndarray, deviations: float = 4.5) -> bool:
    """Whether means over the last axis are where they are expected, by their own standard errors."""
    error = values.std(axis=-1, ddof=1) / np.sqrt(values.shape[-1])
    return bool((np.abs(values.mean(axis=-1) - expected) <= deviations * error).all())


def test_the_gaussian_of_the_browser_follows_the_formulas(offline) -> None:
    page, fits = offline("chapters/explore.html"), np.arange(1, 32)
    found = _chains(page, "gaussian", "replace", 30, n=20)
    assert _near(np.log(found["variance"]), np.log(expectations.typical_variance(fits, 20)))
    assert _near(found["mean"] ** 2, expectations.marginal_variance(fits, 20) - 1)
    found = _chains(page, "gaussian", "accumulate", 30, n=20)
    assert _near(found["variance"], expectations.accumulate_variance(20, 31))
    assert _near(found["mean"] ** 2, expectations.accumulate_mean_variance(20, 31))
    found = _chains(page, "gaussian", "fresh", 40, n=40, share=0.25)
    of_mean, variance = expectations.fresh_fixed_point(10, 30)
    assert _near(found["mean"][-1] ** 2, of_mean) and _near(found["variance"][-1], variance)
    assert not _near(_chains(page, "gaussian", "fresh", 40, n=40, share=0.1)["variance"][-1], variance)


def test_the_words_of_the_browser_follow_the_formulas(offline) -> None:
    page = offline("chapters/explore.html")
    zipf = np.array(page.evaluate("explorable.zipf"))
    found = _chains(page, "words", "replace", 20, n=50)
    even = (1 - (zipf**2).sum()) * (1 - 1 / 50) ** np.arange(1, 22)  # two draws differ: Wright (1931)
    assert _near(found["diversity"], even)
    assert _near(found["alive"][0], (1 - (1 - zipf) ** 50).sum())
    assert (np.diff(found["alive"], axis=0) <= 0).all()  # no word comes back
    held = _chains(page, "words", "accumulate", 20, n=50)
    assert (held["alive"] == held["alive"][0]).all()
    fresh = _chains(page, "words", "fresh", 20, n=50, share=0.5)
    assert (np.diff(fresh["alive"], axis=0) > 0).any()  # some do
    kept = _chains(page, "words", "keep", 20, n=50, share=0.5)
    assert (kept["alive"] <= kept["alive"][0]).all() and kept["alive"][-1].mean() > found["alive"][-1].mean() + 3


def test_the_loops_play_pause_and_answer_the_keyboard(offline) -> None:
    page = offline("chapters/explore.html")
    box = page.locator("#explorable")
    said, play = box.locator("[data-part=said]"), box.locator("[data-part=play]")
    assert said.inner_text().startswith("generation 0: ")
    box.get_by_role("button", name="One generation").focus()
    page.keyboard.press("Enter")
    assert said.inner_text().startswith("generation 1: ")
    box.locator("[data-part=speed]").press("End")
    play.click()
    assert play.inner_text() == "Pause" and said.get_attribute("aria-live") == "off"
    page.wait_for_function("+document.querySelector('#explorable .said').textContent.match(/[0-9]+/)[0] > 8")
    play.click()
    paused = said.inner_text()
    page.wait_for_timeout(400)
    assert said.inner_text() == paused and play.inner_text() == "Play"
    share = box.locator("[data-part=share]")
    assert share.is_disabled()
    box.locator("[data-part=regime]").select_option("keep")
    assert said.inner_text().startswith("generation 0: ") and share.is_enabled()
    share.press("ArrowRight")
    assert share.get_attribute("aria-valuetext") == "6 of 50"
    dead = "document.querySelectorAll('#explorable [data-part=words] .dead').length"
    assert page.evaluate(dead) == 2 * (24 - int(re.search(r"(\d+) of 24", said.inner_text())[1]))


def test_the_loops_answer_touch_and_stand_still_for_those_who_want_it(offline) -> None:
    narrow = {"viewport": {"width": 360, "height": 800}, "has_touch": True}
    page = offline("chapters/explore.html", reduced_motion="reduce", **narrow)
    box = page.locator("#explorable")
    assert box.locator("[data-part=play]").is_hidden()
    box.get_by_role("button", name="One generation").tap()
    assert box.locator("[data-part=said]").inner_text().startswith("generation 1: ")
    box.get_by_role("button", name="Start again").tap()
    assert box.locator("[data-part=said]").inner_text().startswith("generation 0: ")
