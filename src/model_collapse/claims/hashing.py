"""The fingerprint of a rule: what would change its verdict, and nothing else.

A run's manifest holds the fingerprints of the rules that were in force when it was made, so a rule that was bent to
fit its outcome shows.
"""

from __future__ import annotations

import ast
import copy
import functools
import hashlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["rule_hash"]

Place = tuple[str, str]  # module, name

# What a tree says about layout, or in some Python versions only.
UNSPOKEN = {"ctx", "kind", "type_comment", "type_params"}


def rule_hash(rule: Callable) -> str:
    """SHA-256, as 64 hexadecimal digits, over a rule and all it refers to within its own package.

    Counted are the functions and constants that the rule reaches by name, from any module of the package it lives
    in, as syntax trees: without comments, docstrings and layout, sorted by place. Classes are not counted: in this
    package they carry values and no arithmetic. Closed forms from outside the package are not counted either; their
    own tests hold them.
    """
    wing = rule.__module__.rpartition(".")[0]
    parts: dict[Place, str] = {}
    _collect((rule.__module__, rule.__name__), wing, parts)
    lines = (f"{module.removeprefix(wing)}.{name}\n{source}" for (module, name), source in sorted(parts.items()))
    return hashlib.sha256("\n\n".join(lines).encode()).hexdigest()


def _collect(place: Place, wing: str, parts: dict[Place, str]) -> None:
    found = _resolve(place, wing)
    if found is None or found[0] in parts:
        return
    place, node = found
    plain = _without_docstrings(node)
    parts[place] = _canonical(plain)
    for name in _names(plain):
        _collect((place[0], name), wing, parts)


def _resolve(place: Place, wing: str) -> tuple[Place, ast.stmt] | None:
    """The definition behind a name, followed through imports within the package; None for what lies outside."""
    module, name = place
    node = _definitions(sys.modules[module].__file__).get(name)
    if isinstance(node, ast.ImportFrom):
        package = module.rpartition(".")[0]
        origin = f"{package}.{node.module}" if node.level == 1 else node.module or ""
        original = next(a.name for a in node.names if (a.asname or a.name) == name)
        return _resolve((origin, original), wing) if origin.startswith(f"{wing}.") else None
    return None if node is None or isinstance(node, ast.ClassDef) else (place, node)


@functools.cache
def _definitions(path: str) -> dict[str, ast.stmt]:
    """What a module's file binds at its top level by a definition, an assignment or a from-import."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    return {name: node for node in tree.body for name in _bound(node)}


def _bound(node: ast.stmt) -> list[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.ImportFrom(names=names):
            return [a.asname or a.name for a in names]
        case ast.Assign(targets=targets):
            return [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def _names(node: ast.AST) -> Iterator[str]:
    return (n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))


def _canonical(part: object) -> str:
    """A syntax tree as text that is the same in every Python version.

    `ast.unparse` would be shorter, but Python 3.12 quotes f-strings and 3.13 brackets tuples in another way than 3.11,
    and a record made on one is read on the other.
    """
    match part:
        case ast.AST():
            fields = ((name, value) for name, value in ast.iter_fields(part) if name not in UNSPOKEN)
            spoken = (f"{name}={_canonical(value)}" for name, value in fields if value is not None and value != [])
            return f"{type(part).__name__}({', '.join(spoken)})"
        case list():
            return f"[{', '.join(map(_canonical, part))}]"
    return repr(part)


def _without_docstrings(node: ast.stmt) -> ast.stmt:
    node = copy.deepcopy(node)
    for part in ast.walk(node):
        if isinstance(part, ast.FunctionDef) and ast.get_docstring(part, clean=False) is not None:
            part.body = part.body[1:] or [ast.Pass()]
    return node
