"""Lists the dotted library names that Python files really use, and how the policy data judges each.

It parses and never imports or runs what it reads. Names are spelt as the facade would be asked for them
(`F.softmax` after `import torch.nn.functional as F` is `torch.nn.functional.softmax`); the number is how many
files use the name. A judgement is `granted`, `sink:<capability>` or `absent`.

It does not follow assignments (`nn = torch.nn`) and does not know where a module ends and an object begins:
`torch.Tensor.view` is listed whole, and is granted because `torch.Tensor` is.

    python tools/survey_names.py FOLDER... [--only absent] [--at-least N] [--files]
"""

from __future__ import annotations

import argparse
import ast
import fnmatch
import functools
import re
import sys
import tomllib
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

POLICIES = Path(__file__).resolve().parent.parent / "policies"
MAX_FILE_BYTES = 4_000_000


@functools.cache
def segment(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern))


def segment_matches(pattern: str, name: str) -> bool:
    """One segment against one name; a wildcard leaves private names out unless it begins with `_`."""
    if name.startswith("_") and not pattern.startswith("_"):
        return False
    return segment(pattern).match(name) is not None


def covers(pattern: str, name: str) -> bool:
    """Whether the pattern grants the name itself or an object that the name is an attribute of."""
    wanted, given = pattern.split("."), name.split(".")
    return len(given) >= len(wanted) and all(map(segment_matches, wanted, given))


class Table:
    """Patterns by their first segment, so that a look-up touches few of them."""

    def __init__(self, entries: Iterable[tuple[str, str]]) -> None:
        self._by_root: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for pattern, label in entries:
            self._by_root[pattern.partition(".")[0]].append((pattern, label))

    def find(self, name: str) -> str | None:
        for pattern, label in self._by_root.get(name.partition(".")[0], ()):
            if covers(pattern, name):
                return label
        return None

    def holds_something_inside(self, name: str) -> bool:
        """Whether `name` is a package or module in which something is listed: importing it gives a facade."""
        depth = name.count(".") + 1
        candidates = self._by_root.get(name.partition(".")[0], ())
        deeper = (pattern.split(".")[:depth] for pattern, _ in candidates if pattern.count(".") >= depth)
        return any(covers(".".join(leading), name) for leading in deeper)


def grants(folder: Path) -> Table:
    entries = [
        (pattern, path.stem)
        for path in sorted((folder / "libraries").glob("*.toml"))
        for grant in tomllib.loads(path.read_text("utf-8"))["grant"]
        for pattern in grant["names"]
    ]
    return Table(entries)


def sinks(folder: Path) -> Table:
    document = tomllib.loads((folder / "capabilities.toml").read_text("utf-8"))
    return Table((pattern, entry["id"]) for entry in document["capability"] for pattern in entry["names"])


class Names(ast.NodeVisitor):
    """Collects the dotted names of one module; aliases are file-wide, which is right for nearly all model code."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.aliases: dict[str, str] = {}
        self.found: set[str] = set()

    def absolute(self, node: ast.ImportFrom) -> str | None:
        if not node.level:
            return node.module
        if not self.package:
            return None
        base = self.package.split(".")
        base = base[: len(base) - node.level + 1]
        return ".".join([*base, *([node.module] if node.module else [])])

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            root = alias.name.partition(".")[0]
            self.aliases[alias.asname or root] = alias.name if alias.asname else root
            self.found.add(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = self.absolute(node)
        if module is None:
            return
        for alias in node.names:
            self.aliases[alias.asname or alias.name] = f"{module}.{alias.name}"
            self.found.add(f"{module}.{alias.name}")

    def dotted(self, node: ast.expr) -> str | None:
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.aliases:
            return None
        return ".".join([self.aliases[node.id], *reversed(parts)])

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = self.dotted(node)
        if name is None:
            self.visit(node.value)
        else:
            self.found.add(name)


def names_of(path: Path, package: str) -> set[str]:
    if path.stat().st_size > MAX_FILE_BYTES:
        return set()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        print(f"unread {path}: {error}", file=sys.stderr)
        return set()
    names = Names(package)
    for node in ast.walk(tree):  # aliases first: functions may use what is imported further down
        if isinstance(node, ast.Import | ast.ImportFrom):
            names.visit(node)
    names.visit(tree)
    return names.found


def python_files(places: Iterable[Path]) -> Iterator[Path]:
    for place in places:
        yield from [place] if place.is_file() else sorted(place.rglob("*.py"))


def package_of(path: Path) -> str:
    """The importable package a file sits in, for relative imports; empty for flat model repositories."""
    parts: list[str] = []
    folder = path.parent
    while (folder / "__init__.py").exists():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("places", nargs="+", type=Path)
    parser.add_argument("--policies", type=Path, default=POLICIES)
    parser.add_argument("--only", help="print only judgements that begin with this word")
    parser.add_argument("--at-least", type=int, default=1, metavar="N", help="names that N files use")
    parser.add_argument("--files", action="store_true", help="name one file that uses each")
    chosen = parser.parse_args()
    users: dict[str, list[Path]] = defaultdict(list)
    for path in python_files(chosen.places):
        for name in names_of(path, package_of(path)):
            users[name].append(path)
    granted, refused = grants(chosen.policies), sinks(chosen.policies)
    for name, paths in sorted(users.items(), key=lambda item: (-len(item[1]), item[0])):
        sink = refused.find(name)
        shown = granted.find(name) or granted.holds_something_inside(name)
        verdict = f"sink:{sink}" if sink else "granted" if shown else "absent"
        if len(paths) >= chosen.at_least and verdict.startswith(chosen.only or ""):
            print(len(paths), verdict, name, *([paths[0]] if chosen.files else []))


if __name__ == "__main__":
    main()
