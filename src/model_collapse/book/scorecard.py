"""The scorecard as a page: every claim with what was measured, how sure that is, and where to see it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from IPython.display import HTML

from ..claims import CLAIMS, Claim, by_verdict
from ..places import CHECKOUT
from .pages import notebooks
from .showing import comparison, html_table, verdict_mark

__all__ = ["SCRIPT", "counts_table", "filters", "places", "scorecard_table"]

# Rows that do not match go, and with the last row of a table its section; without a script everything is shown.
SCRIPT = """\
(function (box) {
  var chosen = Array.from(box.querySelectorAll("select")), said = box.querySelector("output");
  function apply() {
    var shown = 0, all = 0;
    document.querySelectorAll("table.verdicts").forEach(function (table) {
      var rows = Array.from(table.tBodies[0].rows), kept = rows.filter(function (row) {
        row.hidden = !chosen.every(function (one) { return !one.value || row.dataset[one.name] === one.value; });
        return !row.hidden;
      });
      shown += kept.length;
      all += rows.length;
      table.closest("section").hidden = kept.length === 0;
    });
    said.textContent = shown + " of " + all + " rows";
  }
  chosen.forEach(function (one) { one.addEventListener("input", apply); });
  box.querySelector("button").addEventListener("click", function () {
    chosen.forEach(function (one) { one.value = ""; });
    apply();
  });
  box.hidden = false;
  document.addEventListener("DOMContentLoaded", apply);
})(document.currentScript.parentElement);
"""
_FIGURE = re.compile(r':name:\s*"?(fig-[\w-]+)')
_VERDICT = re.compile(r"\{glue:text\}`verdict_([\w.-]+)`")


def places(root: Path = CHECKOUT) -> dict[str, str]:
    """Where each claim is shown: the nearest figure above its verdict in a chapter, as a link, by claim.

    Nowhere where the package is installed without its book.
    """
    found: dict[str, str] = {}
    for name in notebooks(root) if (root / "_toc.yml").is_file() else ():
        page = f"{name}.html"
        figure = ""
        for cell in json.loads((root / f"chapters/{name}.ipynb").read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] != "markdown":
                continue
            for line in cell["source"]:
                if match := _FIGURE.search(line):
                    figure = f"#{match[1]}"
                for claim in _VERDICT.findall(line):
                    found.setdefault(claim, page + figure)
    return found


def counts_table(rows: Mapping[str, dict]) -> HTML:
    """How many claims of each source reached each verdict; rows that sum up others are left out."""
    counted = [(claim.group, rows[claim.id]["verdict"]) for claim in CLAIMS if not claim.children]
    verdicts = list(by_verdict(rows))
    lines = [
        [group, *(counted.count((group, verdict)) or "–" for verdict in verdicts)]
        for group in dict.fromkeys(group for group, _ in counted)
    ]
    lines.append(["all", *([verdict for _, verdict in counted].count(verdict) for verdict in verdicts)])
    return comparison(["", *verdicts], lines)


def scorecard_table(rows: Mapping[str, dict], groups: Sequence[str], links: Mapping[str, str]) -> HTML:
    """The claims of some groups: source and its number, measured value, interval, chains, profile and verdict."""
    claims = [claim for claim in CLAIMS if claim.group in groups]
    lines = [_row(rows[claim.id], links) for claim in claims]
    return html_table(["", "claim", "the source", "here"], lines, "verdicts", [_marks(claim, rows) for claim in claims])


def filters(rows: Mapping[str, dict]) -> HTML:
    """Three choices that leave only the rows of a verdict, a family and a source on the page."""
    marks = [_marks(claim, rows) for claim in CLAIMS]
    choices = "".join(_choice(name, [mark[name] for mark in marks]) for name in marks[0])
    button = '<button type="button">Show all</button> <output aria-live="polite"></output>'
    return HTML(f'<div class="filters" hidden>{choices}{button}<script>\n{SCRIPT}</script></div>')


def _marks(claim: Claim, rows: Mapping[str, dict]) -> dict[str, str]:
    return {"verdict": rows[claim.id]["verdict"], "family": claim.family, "source": claim.group}


def _choice(name: str, values: Sequence[str]) -> str:
    options = "".join(f"<option>{html.escape(value)}</option>" for value in dict.fromkeys(values))
    return f'<label>{name} <select name="{name}"><option value="">all</option>{options}</select></label>'


def _row(row: dict, links: Mapping[str, str]) -> list[str]:
    name = html.escape(row["id"])
    linked = f'<a href="{html.escape(links[row["id"]])}" title="the figure">{name}</a>' if row["id"] in links else name
    claim = f"{html.escape(row['statement'])}<small>{html.escape(row['source'])}</small>"
    source = html.escape(row["paper"])
    if row["source_check"]:
        source += f"<small>In the literature: {html.escape(row['source_check'])}</small>"
    return [f"{linked}<br>{verdict_mark(row)}", claim, source, _here(row)]


def _here(row: dict) -> str:
    facts = []
    if row["interval"]:
        facts.append("95 %: {:.3g} to {:.3g}".format(*row["interval"]))
    if row["chains"]:
        facts.append(f"{row['chains']:,} chains, profile {row['profile']}")
    if row["rule_changed"]:
        facts.append("the rule was changed or written after the run")
    measured = html.escape(row["measured"] or "–")
    small = f"<small>{html.escape('; '.join(facts))}</small>" if facts else ""
    return f"{measured}{small}<details><summary>how</summary>{html.escape(row['reason'])}</details>"
