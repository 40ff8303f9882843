"""The chapters as they are committed: no outputs, short cells, true dependencies, and no number typed by hand."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, notebook

from model_collapse.book import animation, pages, prose, showing

CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"))
each_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)


@each_chapter
def test_a_chapter_is_committed_without_outputs(chapter: Path) -> None:
    for index, cell in enumerate(json.loads(chapter.read_text(encoding="utf-8"))["cells"]):
        assert not cell.get("outputs"), f"cell {index} of {chapter.name} has outputs"
        assert cell.get("execution_count") is None, f"cell {index} of {chapter.name} has an execution count"


@each_chapter
def test_a_chapter_has_parameters_and_short_cells(chapter: Path) -> None:
    cells = [c for c in json.loads(chapter.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
    tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    assert len(tagged) == 1, f"{chapter.name} needs one cell tagged `parameters`"
    for cell in cells:
        lines = "".join(cell["source"]).splitlines()
        assert len(lines) <= 30, f"{chapter.name}: a code cell of {len(lines)} lines begins {lines[0]!r}"


def unseen(source: str) -> list[str]:
    """Calls that return a table or an animation before the last statement of a cell, where nobody sees them."""
    returns = vars(showing) | vars(animation)
    given = {name for name, x in returns.items() if getattr(x, "__annotations__", {}).get("return") == "HTML"}
    calls = [node.value for node in ast.parse(source).body[:-1] if isinstance(node, ast.Expr)]
    return [call.func.id for call in calls if isinstance(call, ast.Call) and getattr(call.func, "id", "") in given]


@each_chapter
def test_what_a_cell_shows_is_its_last_statement(chapter: Path) -> None:
    for cell in json.loads(chapter.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            assert not unseen("".join(cell["source"]))


def test_a_table_that_nobody_sees_is_named() -> None:
    assert unseen("comparison([], [])\nverdict_table(rows, [])\nanimation([], [], '')\nx = 1") == [
        "comparison",
        "verdict_table",
        "animation",
    ]
    assert not unseen("x = 1\ncomparison([], [])")


@each_chapter
def test_no_number_is_typed_by_hand(chapter: Path) -> None:
    allowed = prose.citations(ROOT / "data/citations.csv").get(chapter.stem, set())
    found = prose.unsourced(chapter, allowed)
    assert not found, "neither glued in nor cited:\n" + "\n".join(
        f"  {item.chapter}, cell {item.cell}: {item.token!r} in {item.line!r}" for item in found
    )


@each_chapter
def test_the_table_of_imports_is_true(chapter: Path, book: Path) -> None:
    imported = pages.really_imported(chapter.stem, ROOT)
    assert imported, f"the executed chapter {chapter.stem} carries no stamp: its last cell must call stamp()"
    table = yaml.safe_load((ROOT / "chapters/imports.yml").read_text(encoding="utf-8"))
    entries = table[chapter.stem]["modules"]
    missing = [module for module in imported if not any(pages.covers(entry, module) for entry in entries)]
    stale = [entry for entry in entries if not any(pages.covers(entry, module) for module in imported)]
    assert not missing, f"imported, but not in chapters/imports.yml: {missing}"
    assert not stale, f"in chapters/imports.yml, but not imported: {stale}"


@each_chapter
def test_no_output_shows_where_it_was_made(chapter: Path, book: Path) -> None:
    executed = json.loads((ROOT / pages.EXECUTED / chapter.name).read_text(encoding="utf-8"))
    shown = json.dumps([cell.get("outputs", []) for cell in executed["cells"]])
    for path in (str(ROOT), str(Path.home()) + "/", "site-packages", "Warning:"):
        assert path not in shown, f"{chapter.name} shows {path!r}: {shown[max(shown.index(path) - 200, 0) :][:400]}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a planted number: 0.7", ["0.7"]),
        ("variance of 10,000 chains", ["10,000"]),
        ("it fell by 85% and by 8 %", ["85%", "8 %"]),
        ("2.49e-4 and 10k", ["2.49e-4", "10"]),
        ("| M | 100 |\n|---|---|\n| g | 7 |", ["100", "7"]),
        ("# Heading 3", ["3"]),
        ("1. first\n2. second", []),
        ("`x = 3` and ``y = 4``\n\n```python\nz = 5\n```\nthen 6", ["6"]),
        ("{glue:text}`chains_100` and {cite:t}`shumailov2024nature` and {numref}`fig 1`", []),
        ("{sup}`12`", ["12"]),
        ("[see 3](https://example.org/4) <https://example.org/5> https://example.org/6", ["3"]),
        ("![a picture of 7 cats](cats8.png)", ["7"]),
        ('<span data-n="9">ten</span> <!-- 11 --> &#8212;', []),
        ("claims T1, A4 and W2 of GPT-2, OPT-125m and CIFAR-10 in 2-D", []),
        ("$W_2^2$ and $x^2/6$", []),
        ("$M = 100$ and $10^7$", ["100", "10"]),
        ("$$\\frac12 + 10{,}000$$", ["10,000"]),
        ("$\\lambda \\in \\{1, 0.85\\}$", ["0.85"]),
        ("\\begin{align}\nn &= 42\n\\end{align}", ["42"]),
        ("{math}`n = 17`", ["17"]),
        ("```{math}\n:label: eq-12\nn = 18\n```", ["18"]),
        ("costs \\$5 and \\$6", ["5", "6"]),
        ("```{glue:figure} fig_3\n:alt: falls to 4\n:name: fig-5\n\nA caption with 6.\n```", ["4", "6"]),
        (":::{admonition} Title 1\n:class: tip2\nBody 3\n:::", ["1", "3"]),
        ("````{note}\n```python\nx = 1\n```\ntext 2\n````\nafter 3", ["2", "3"]),
        ("a footnote[^1]\n\n[^1]: of 1995", ["1995"]),
        ("(label-7)=\n## Title", []),
        ("% a comment 8", []),
    ],
)
def test_numbers_in_prose_are_found(text: str, expected: list[str]) -> None:
    assert sorted(prose.numbers(text)) == sorted(expected)


def test_a_planted_number_is_named(tmp_path: Path) -> None:
    path = tmp_path / "theory.ipynb"
    path.write_text(notebook(("markdown", "cited 85%"), ("code", "x = 12345"), ("markdown", "The paper\nsays 0.443.")))
    table = "chapter,text,meaning,source\ntheory,85%,share,somewhere\nvae,0.443,sd,there\n"
    (tmp_path / "citations.csv").write_text(table)
    allowed = prose.citations(tmp_path / "citations.csv")
    assert prose.unsourced(path, allowed["theory"]) == [("theory", 2, "0.443", "says 0.443.")]
    assert prose.unsourced(path, allowed["theory"] | allowed["vae"]) == []


def test_citations_may_be_printed_with_separators(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text('chapter,text,meaning,source\ntheory,"10,000",chains,there\n')
    assert prose.citations(tmp_path / "c.csv") == {"theory": {"10000"}}
    assert prose.canonical("10{,}000") == prose.canonical("10\u202f000") == "10000"
