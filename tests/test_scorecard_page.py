"""The scorecard page: every claim once, counted once, with its figure."""

import json

import nbclient
import nbformat
import pytest

from model_collapse import claims
from model_collapse.book.environment import MAKES_PAGES
from model_collapse.book.scorecard import counts_table, filters, places, scorecard_table
from model_collapse.book.showing import comparison, typeset
from model_collapse.claims import CLAIMS


def rows() -> dict[str, dict]:
    nothing = claims.scorecard([lambda family, study: None])
    return {row["id"]: row for row in claims.as_rows(nothing)}


def test_a_claim_leads_to_the_last_figure_above_its_verdict(tmp_path):
    (tmp_path / "chapters").mkdir()
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: chapters/a\nchapters:\n- file: chapters/b\n")
    figure = '```{glue:figure} fig_x\n:name: "fig-x"\n\nWords.\n```\n'
    texts = {"a": ["{glue:text}`verdict_T1`", figure, "{glue:text}`verdict_T2`"], "b": ["{glue:text}`verdict_P-g.gmm`"]}
    for name, parts in texts.items():
        cells = [{"cell_type": "markdown", "source": part.splitlines(True)} for part in parts]
        (tmp_path / f"chapters/{name}.ipynb").write_text(json.dumps({"cells": cells}))
    assert places(tmp_path) == {"T1": "a.html", "T2": "a.html#fig-x", "P-g.gmm": "b.html"}


def test_every_claim_is_in_one_table():
    groups = list(dict.fromkeys(claim.group for claim in CLAIMS))
    page = "".join(scorecard_table(rows(), [group], {"T1": "theory.html#fig-absorption"}).data for group in groups)
    for claim in CLAIMS:
        assert page.count(f"<td>{claim.id}<br>") == (claim.id != "T1"), claim.id
    assert '<a href="theory.html#fig-absorption"' in page


def test_every_row_can_be_chosen_by_verdict_family_and_source():
    chosen = filters(rows()).data
    for claim in CLAIMS:
        assert f"<option>{claim.family}</option>" in chosen and f"<option>{claim.group}</option>" in chosen
        table = scorecard_table(rows(), [claim.group], {}).data
        row = table[: table.index(f"<td>{claim.id}<br>")].rpartition("<tr ")[2]
        assert f'data-family="{claim.family}"' in row and f'data-source="{claim.group}"' in row
    assert chosen.count("<option>") == len({c.family for c in CLAIMS}) + len({c.group for c in CLAIMS}) + len(
        {row["verdict"] for row in rows().values()}
    )


def test_counts_add_up():
    found = rows()
    for name, verdict in (("T1", "replicated"), ("L5", "spike")):
        found[name] = found[name] | {"verdict": verdict}
    page = counts_table(found).data
    last = page.rpartition("<tr>")[2]
    numbers = [int(cell.partition("<")[0]) for cell in last.split(">") if cell.partition("<")[0].isdigit()]
    assert sum(numbers) == len([claim for claim in CLAIMS if not claim.children])
    assert "<th>spike</th>" in page


def test_negative_numbers_have_the_sign_of_minus_and_per_cent_a_space():
    told = {
        "-0.5": "−0.5",
        "slope -2, (-3.1 to 4)": "slope −2, (−3.1 to 4)",
        "12 -> -3e-05": "12 -> −3e-05",
        "+72% ± 3 %": "+72\N{NO-BREAK SPACE}% ± 3\N{NO-BREAK SPACE}%",
    }
    same = ("OPT-125m, 2026-11-22", "P-b.llm", "2e-5", "--seed 0", "wikitext-2", "10-20", "%d")
    for written, read in {**told, **{text: text for text in same}}.items():
        assert typeset(written) == read
    assert "<td>−1 to 2</td>" in comparison([""], [["-1 to 2"]]).data


@pytest.mark.parametrize("makes_pages", [True, False])
def test_who_runs_a_chapter_by_hand_sees_its_figures_and_numbers(makes_pages, monkeypatch):
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.setenv(MAKES_PAGES, "1") if makes_pages else monkeypatch.delenv(MAKES_PAGES, raising=False)
    code = "import matplotlib.pyplot as plt\nfrom model_collapse.book.showing import say, show\n"
    code += "show('x', plt.subplots()[0])\nsay('count', -3)"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    outputs = nbclient.NotebookClient(notebook, kernel_name="python3").execute().cells[0].outputs
    glued = [o.metadata.scrapbook.name for o in outputs if "scrapbook" in o.get("metadata", {})]
    assert glued == ["fig_x", "count"]
    seen = [o for o in outputs if "image/png" in o.get("data", {}) or o.get("text") == "count: −3\n"]
    assert len(seen) == (0 if makes_pages else 2)
