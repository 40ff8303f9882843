"""The whole book as one PDF: a build of a single page, printed by a browser once its equations are set."""

from __future__ import annotations

import shutil
from html import escape
from pathlib import Path
from typing import Any

from . import pages
from .checkout import made_of

__all__ = ["CHROMIUM", "make_pdf", "print_page"]

CHROMIUM = Path("/usr/bin/chromium")
PDF = pages.BUILD / "book.pdf"
SINGLE = pages.BUILD / "single"
FOOTER = """<div style="font-size: 8px; width: 100%; text-align: center">
<span class="pageNumber"></span> / <span class="totalPages"></span><br>{made_of}</div>"""
LEFT_OUT = """() => [
    ...[...document.images].filter(image => !image.naturalWidth).map(image => image.getAttribute("src")),
    ...[...document.querySelectorAll(".math")].filter(e => !e.querySelector("mjx-container")).map(e => e.textContent)
]"""
# What is for the screen stays on the screen; a figure and its caption stay on one sheet, and so does code in its frame.
PRINT = """
header, footer, .bd-sidebar-primary, .bd-sidebar-secondary, .bd-header-article, .explorable, .animation .controls,
.prev-next-footer, .headerlink, .tocsection { display: none !important; }
.bd-article-container, .bd-main, .bd-content { max-width: 100% !important; display: block !important; }
figure, .animation, tr, div.cell_input, div[class*="highlight-"] { break-inside: avoid; }
details:not([open]) { display: none !important; }
.toctree-wrapper > section { break-before: page; }
pre { white-space: pre-wrap !important; }
"""


def make_pdf(target: Path = PDF) -> Path:
    """Print the executed chapters and the pages in their order to one file.

    Raises
    ------
    BookError
        Where a chapter has not been executed, the build fails, or there is no browser.
    """
    if not CHROMIUM.is_file():
        raise pages.BookError(f"{CHROMIUM} is missing: apt-get install chromium")
    pages.stage()
    shutil.rmtree(SINGLE, ignore_errors=True)
    pages.run_jupyter_book("--path-output", str(SINGLE), "--builder", "singlehtml", "--keep-going")
    built = SINGLE / "_build/singlehtml"
    # Sphinx writes the page beside the first chapter, but all that it loads relative to the folder above.
    page = (built / "chapters/index.html").replace(built / "index.html")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        print_page(browser, page, target)
        browser.close()
    return target


def print_page(browser: Any, page: Path, target: Path) -> None:
    """Print one page by a browser of playwright, offline and in light colours, once its script has set every equation.

    Raises
    ------
    BookError
        Where a picture is missing or an equation was not set.
    """
    context = browser.new_context(offline=True, color_scheme="light")
    try:
        opened = context.new_page()
        opened.goto(page.resolve().as_uri(), wait_until="load")
        opened.evaluate("() => window.MathJax?.startup?.promise")
        left_out = opened.evaluate(LEFT_OUT)
        if left_out:
            raise pages.BookError(f"{page} cannot be printed whole: {', '.join(left_out[:3])}")
        opened.evaluate("() => document.documentElement.dataset.theme = 'light'")
        opened.add_style_tag(content=f"@media print {{{PRINT}}}")
        margins = {"top": "18mm", "bottom": "18mm", "left": "16mm", "right": "16mm"}
        options = {"format": "A4", "margin": margins, "print_background": True, "display_header_footer": True}
        footer = FOOTER.format(made_of=escape(made_of()))
        opened.pdf(path=target, header_template="<span></span>", footer_template=footer, outline=True, **options)
    finally:
        context.close()
