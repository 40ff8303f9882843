"""The part of README.md that a record can change: a picture and the verdicts, between two marks."""

from __future__ import annotations

from pathlib import Path

from .. import claims
from ..archive import Record, load_record
from ..figures import caption, use_style
from ..places import results_root

__all__ = ["BEGIN", "END", "PICTURE", "filled", "made_part", "make_readme"]

BEGIN, END = "<!-- from here: make readme -->", "<!-- to here: make readme -->"
PICTURE = Path("chapters/_static/readme.png")
ALT = (
    "Two columns of bell curves by generation. On the left they wander and narrow into a spike; on the right they stay "
    "like the human data at the top."
)


def made_part(root: Path) -> str:
    """Picture, caption and verdicts as Markdown, from the records below `root`."""
    rows = claims.as_rows(claims.scorecard(claims.find_records(root)))
    found = claims.by_verdict({row["id"]: row for row in rows})
    records = _pictured(root)
    lines = [
        f"![{ALT}]({PICTURE.as_posix()})",
        "",
        "*A Gaussian is fitted to a sample, the next one to a sample drawn from it (left), or to all that was drawn so "
        f"far (right). One chain each. {caption({record.identifier: record for record in records})} "
        f"Records: {', '.join(f'`{record.identifier}`' for record in records)}.*",
        "",
        f"Of {sum(map(len, found.values()))} statements:",
        "",
        "| verdict | | statements |",
        "|---|---|---|",
        *(f"| {verdict} | {len(names)} | {', '.join(names)} |" for verdict, names in found.items()),
    ]
    return "\n".join(lines)


def filled(text: str, part: str) -> str:
    """A README with `part` between its two marks.

    Raises
    ------
    ValueError
        Where the marks are not there, or not in order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md has no lines {BEGIN!r} and {END!r}, in this order")
    return f"{before}{BEGIN}\n{part}\n{END}{after}"


def make_readme(root: Path = Path(".")) -> None:
    """Draw the picture and fill README.md from the archive."""
    from ..figures.theory import ridges

    use_style()
    results = Path(results_root())
    readme = root / "README.md"
    text = filled(readme.read_text(encoding="utf-8"), made_part(results))
    records = _pictured(results)
    drawn_from = {"Software": None, "Source": ", ".join(record.identifier for record in records)}
    ridges(*records, 0).savefig(root / PICTURE, dpi=110, facecolor="white", metadata=drawn_from)
    readme.write_text(text, encoding="utf-8")


def _pictured(root: Path) -> list[Record]:
    return [load_record(root / "gaussian" / run) for run in ("paper-replace", "paper-accumulate")]
