"""Finds numbers in a chapter's prose that neither come from a record nor stand in the table of citations.

A number that a chapter states is glued in from a record. A number that a paper states is listed, with its source, in
``data/citations.csv``. Everything else was typed by hand and will be wrong one day.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import NamedTuple

__all__ = ["Unsourced", "canonical", "citations", "numbers", "unsourced"]


class Unsourced(NamedTuple):
    """A number without source: the chapter, the index of the cell, the number, and the line it stands in."""

    chapter: str
    cell: int
    token: str
    line: str


# directives whose body is no prose; of all others the body is read
_SILENT = {"code", "code-block", "code-cell", "literalinclude", "bibliography", "contents", "toctree", "raw", "image"}
# directives whose argument is a title, and thereby prose
_TITLED = {"admonition", "card", "dropdown", "exercise", "grid-item-card", "tab-item"}
# roles that refer to something, and show what is not typed here
_REFERENCES = r"glue(?::\w+)?|(?:foot)?cite(?::\w+)?|ref|numref|eq|doc|term|download|py:\w+|mod|func|class|meth|attr"
_NUMBER = r"\d+(?:[,\u202f\u2009\u00a0]\d{3})*(?:\.\d+)?(?:[eE][+\-]?\d+)?(?:\s?%)?"
# GPT-2 and OPT-125m, T1 and W2: names, no quantities; 1-D and 2D: dimensions
_NAME = re.compile(r"\b[A-Z]\w*(?:-[A-Za-z]+)*-\d(?:[\w.]*\w)?\b|\b[A-Za-z_]\w*|\b\d+-?D\b")
_FENCE = re.compile(r"\s*(`{3,}|~{3,}|:{3,})?\s*(?:\{([\w:+-]+)\})?(.*)$", re.S)
_MATH = re.compile(
    r"\$\$(.+?)\$\$|(?<![\\$])\$(?!\$)(.+?)(?<!\\)\$|\{math\}`(.+?)`|(\\begin\{(\w+\*?)\}.+?\\end\{\5\})", re.S
)


def canonical(token: str) -> str:
    """The form in which numbers are compared: without thousands separators, spaces and TeX marks."""
    return re.sub(r"[,\s\\{}\u202f\u2009\u00a0]", "", token)


def citations(path: Path = Path("data/citations.csv")) -> dict[str, set[str]]:
    """Numbers that a chapter may state because a source does: chapter → canonical numbers."""
    allowed: dict[str, set[str]] = {}
    with Path(path).open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            allowed.setdefault(row["chapter"], set()).add(canonical(row["text"]))
    return allowed


def _fences(text: str) -> str:
    """Drop code blocks, fence lines and option lines; keep the prose inside directives and the text of ``:alt:``."""
    kept: list[str] = []
    fences: list[tuple[str, bool]] = []  # open fences: (mark, is the body silent?)
    options = False  # inside the option lines at the top of a directive?
    for line in text.splitlines():
        mark, name, rest = _FENCE.match(line).groups()
        silent = bool(fences) and fences[-1][1]
        option = re.match(r"\s*:([\w-]+):\s*(.*)$", line)
        if mark and fences and not name and not rest.strip() and mark.startswith(fences[-1][0]):
            fences.pop()
        elif mark and not silent:
            fences.append((mark, name in _SILENT or (not name and mark[0] != ":")))
            options = True
            kept.append(rest if name in _TITLED else "")
        elif options and option and not silent:
            kept.append(option[2] if option[1] == "alt" else "")
        elif not silent:
            options = options and not line.strip()
            kept.append(line)
    return "\n".join(kept)


def _math_fences(text: str) -> str:
    """Turn ``{math}`` directives into dollar math, so that there is one kind of display mathematics."""
    pattern = re.compile(r"^(`{3,}|:{3,})\{math\}[^\n]*\n(.*?)^\1\s*$", re.S | re.M)
    return pattern.sub(lambda m: "$$" + re.sub(r"^:[\w-]+:.*$", "", m[2], flags=re.M) + "$$", text)


def _strip(text: str) -> str:
    """Remove what is not prose: code, references, targets, addresses, tags, comments, list numbers."""
    text = re.sub(r"<!--.*?-->", " ", text, flags=re.S)
    text = re.sub(r"^%.*$", " ", text, flags=re.M)
    text = re.sub(r"^\(.+?\)=\s*$", " ", text, flags=re.M)
    text = re.sub(r"^\s*\[[^\]]+\]:\s.*$", lambda m: m[0] if m[0].lstrip().startswith("[^") else " ", text, flags=re.M)
    text = re.sub(r"\[\^[^\]]+\]:?", " ", text)
    text = re.sub(rf"\{{(?:{_REFERENCES})\}}`[^`]*`", " ", text)
    text = re.sub(r"\{([\w:+-]+)\}`([^`]*)`", r" \2 ", text)
    text = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", " ", text, flags=re.S)
    text = re.sub(r"\]\([^)]*\)", "] ", text)
    text = re.sub(r"<(?:https?|mailto):[^>]*>|https?://\S+", " ", text)
    text = re.sub(r"</?[A-Za-z][^>]*>", " ", text)
    text = re.sub(r"&#?\w+;", " ", text)
    return re.sub(r"^(\s*(?:>\s*)?)\d+[.)]\s", r"\1", text, flags=re.M)


def _in_math(tex: str) -> list[str]:
    tex = re.sub(r"\\(?:label|tag|ref|eqref|hspace|vspace|begin|end)\{[^}]*\}|\\\\\[[^\]]*\]", " ", tex)
    tex = re.sub(r"\\([dtc]?frac|binom)\s*(\d)\s*(\d)", r"\\\1{\2}{\3}", tex)  # \frac12 is one half
    tex = re.sub(r"(\d)(?:\{,\}|\\,)(?=\d{3})", r"\1,", tex).replace(r"\%", "%")
    found = re.findall(rf"(?<![\d.]){_NUMBER}", tex)
    return [token for token in found if not re.fullmatch(r"\d", token)]


def numbers(text: str) -> list[str]:
    """Numbers that the prose of a markdown cell states, as printed.

    In mathematics a single digit is structure (an exponent, a factor), everything longer is a statement.
    """
    text = _fences(_math_fences(text))
    text = re.sub(r"(?<!`)`(?!`)(?<!\}`)[^`\n]*\$[^`\n]*`", " ", text)  # a dollar in a code span is no mathematics
    mathematics = ["".join(part or "" for part in match[:4]) for match in _MATH.findall(text)]
    text = _strip(_MATH.sub(" x ", text))
    text = _NAME.sub(" ", text.replace(r"\%", "%"))
    prose = [token.strip() for token in re.findall(_NUMBER, text)]
    return prose + [token for tex in mathematics for token in _in_math(tex)]


def unsourced(notebook: Path, allowed: set[str]) -> list[Unsourced]:
    """Numbers in the markdown cells of a notebook that are not in `allowed` (canonical numbers)."""
    found = []
    for index, cell in enumerate(json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]):
        if cell["cell_type"] != "markdown":
            continue
        text = "".join(cell["source"])
        for token in numbers(text):
            if canonical(token) not in allowed:
                line = next((line for line in text.splitlines() if token in line), "")
                found.append(Unsourced(Path(notebook).stem, index, token, line.strip()))
    return found
