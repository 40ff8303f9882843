"""How a chapter shows what it found: figures with their captions, numbers in prose, verdicts, comparison tables.

All go through MyST-NB's ``glue``, so that the prose around them is ordinary Markdown:

    {glue:figure} fig_<name>   a figure; its caption ends with {glue:text}`source_<name>`, filled from the manifests
    {glue:text}`verdict_<id>`  a verdict that was computed
    {glue:text}`<name>`        a number

Pages show what was glued where the prose asks for it. Whoever runs a chapter by hand, in JupyterLab or with papermill,
has no such pages, and sees figures and numbers below the cell that made them.
"""

from __future__ import annotations

import html
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from IPython.display import HTML, Markdown, display
from matplotlib.figure import Figure
from myst_nb import glue

from .. import claims
from ..archive import Record, load_record
from ..figures import caption
from ..places import results_root
from .environment import MAKES_PAGES

__all__ = [
    "archived",
    "comparison",
    "html_table",
    "judge",
    "say",
    "show",
    "typeset",
    "verdict_mark",
    "verdict_strip",
    "verdict_table",
]

MARKS = {
    claims.REPLICATED: "yes",
    claims.PARTLY: "partly",
    claims.NOT_REPLICATED: "no",
}


def typeset(text: str) -> str:
    """The text with the sign of minus before negative numbers, and a space that no line ends at before per cent."""
    return re.sub(r"(?<=\d) ?%", "\N{NO-BREAK SPACE}%", re.sub(r"(?<![\w.])-(?=\d)", "−", text))


def show(
    name: str, figure: Figure, archived: Record | Mapping[str, Record] | None = None, live: Record | None = None
) -> None:
    """Glue a figure as ``fig_<name>`` and what the manifests say of its data as ``source_<name>``, if there are any."""
    glue(f"fig_{name}", figure, display=False)
    if _by_hand():
        display(figure)
    if archived is not None:
        source = caption(archived, live)
        glue(f"source_{name}", source, display=False)
        if _by_hand():
            display(Markdown(source))
    plt.close(figure)


def say(name: str, value: object, pattern: str = "{}") -> None:
    """Glue a number (or a word) for the prose, formatted by `pattern`."""
    text = typeset(pattern.format(value))
    glue(name, text, display=False)
    if _by_hand():
        print(f"{name}: {text}")


def _by_hand() -> bool:
    """Whether a reader runs this chapter, and no page will be made of it."""
    return MAKES_PAGES not in os.environ


def judge(results: str | Path | None = None) -> dict[str, dict]:
    """Every claim's row, computed now from the records; glues ``verdict_<id>`` and ``measured_<id>`` for each."""
    finds = claims.find_records(Path(results or results_root()))
    rows = {row["id"]: row for row in claims.as_rows(claims.scorecard(finds))}
    for name, row in rows.items():
        glue(f"verdict_{name}", row["verdict"], display=False)
        glue(f"measured_{name}", typeset(row["measured"] or "nothing yet"), display=False)
    return rows


def archived(family: str, runs: Sequence[str], results: str | Path | None = None) -> dict[str, Record]:
    """Those of a family's runs that the archive holds, by name; glues ``pending``, a sentence that names the others.

    A record that is there and damaged raises `ArchiveError`.
    """
    root = Path(results or results_root()) / family
    found = {run: load_record(root / run) for run in runs if (root / run).is_dir()}
    missing = ", ".join(f"{family}/{run}" for run in runs if run not in found)
    say("pending", f"Not in the archive yet: {missing}." if missing else "All of them are there.")
    return found


def verdict_table(rows: Mapping[str, dict], ids: Sequence[str]) -> HTML:
    """Claims with what the source says, what was measured and the verdict, one row a claim."""
    return html_table(["", "claim", "the source", "here", "chains"], [_row(rows[name]) for name in ids], "verdicts")


def comparison(header: Sequence[str], rows: Sequence[Sequence[object]]) -> HTML:
    """A plain table: paper, released code, ours."""
    return html_table(header, [[html.escape(str(cell)) for cell in row] for row in rows], "comparison")


def verdict_mark(row: dict) -> str:
    """A verdict as a coloured word; the reason shows when one points at it."""
    mark = MARKS.get(row["verdict"], "open")
    reason, word = html.escape(row["reason"]), html.escape(row["verdict"])
    return f'<span class="verdict verdict-{mark}" title="{reason}">{word}</span>'


def verdict_strip(rows: Mapping[str, dict]) -> HTML:
    """How many statements reached each verdict, in one line."""
    found = claims.by_verdict(rows)
    words = (
        f'<span class="verdict verdict-{MARKS.get(verdict, "open")}">{len(names)} {html.escape(verdict)}</span>'
        for verdict, names in found.items()
    )
    return HTML(f'<p class="verdict-strip">{sum(map(len, found.values()))} statements: {" ".join(words)}</p>')


def _row(row: dict) -> list[str]:
    source = row["paper"]
    if row["source_check"]:  # a popular account: what the literature says of it stands beside it
        source = f"popular accounts: {source}. In the literature: {row['source_check']}"
    cells = [row["statement"], source, row["measured"], f"{row['chains']:,}" if row["chains"] else "–"]
    return [f"{html.escape(row['id'])}<br>{verdict_mark(row)}", *map(html.escape, cells)]


def html_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], kind: str, marks: Sequence[Mapping[str, str]] | None = None
) -> HTML:
    """A table whose cells are HTML; on a narrow screen each row of kind "verdicts" becomes a small card.

    Parameters
    ----------
    marks : sequence of mapping, optional
        For every row, data attributes by name.
    """
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
    labels = [f' data-label="{html.escape(cell)}"' if cell else "" for cell in header]
    cells = [[typeset(cell) for cell in row] for row in rows]
    filled = ["".join(f"<td{label}>{cell}</td>" for label, cell in zip(labels, row, strict=True)) for row in cells]
    marked = zip(filled, marks or [{}] * len(rows), strict=True)
    body = "".join(f"<tr{_data(mark)}>{cells}</tr>" for cells, mark in marked)
    table = f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return HTML(f'<div class="table-wide">{table}</div>')


def _data(mark: Mapping[str, str]) -> str:
    return "".join(f' data-{name}="{html.escape(value)}"' for name, value in mark.items())
