"""Random programs in admitted syntax. One seed, one program; nothing in it is random when it runs.

They are wild in types, so that many statements end in an exception: what is raised, and where, has to be the same.
Each loop is bounded and numbers stay small (no `**`, no `<<`), so each program ends soon.
"""

from __future__ import annotations

import random
import textwrap
from collections.abc import Callable

_NAMES = ("a", "b", "c", "d", "e")
_ATTRIBUTES = ("x", "y", "_z", "items_")
_BINARY = ("+", "-", "*", "//", "%", "&", "|", "^")
_COMPARE = ("==", "!=", "<", ">=", "in", "is not")
_LITERALS = ("0", "1", "-3", "2.5", "'s'", "'ab'", "[1, 2]", "[]", "(1, 'q')", "{'k': 1}", "{1, 2}", "None", "True", "b'b'")
_ERRORS = ("ValueError", "TypeError", "(KeyError, IndexError)", "AttributeError", "ZeroDivisionError", "Exception")


class Program:
    """Writes one module with `cases` cases."""

    def __init__(self, seed: int, cases: int = 8) -> None:
        self._random = random.Random(seed)
        self._cases = cases
        self._made = 0

    def text(self) -> str:
        postponed = "from __future__ import annotations\n" if self._random.random() < 0.5 else ""
        parts = [postponed + _HEAD, *(self._class(f"K{index}") for index in range(3))]
        for index in range(self._cases):
            body = "".join(self._top_statement() for _ in range(self._random.randint(6, 12)))
            start = "a, b, c, d, e = 1, [3, 1], 'txt', {'k': 2}, K0(4)\n"
            parts.append(f"def case_{index}():\n{_indent(start + body)}    return [repr(v) for v in (a, b, c, d)]\n")
        return "\n".join(parts)

    def _pick(self, items: tuple[str, ...]) -> str:
        return self._random.choice(items)

    _own = ("n", "self._z", "LEVEL", *_LITERALS)

    def _class(self, name: str) -> str:
        base = self._pick(("Base", "Base", "dict", "K0")) if name != "K0" else "Base"
        arguments = "super().__init__()" if base == "dict" else "super().__init__(n)"
        members = [
            f"def __init__(self, n=0):\n    {arguments}\n    self._z = n\n    self.__own = {self._expression(1, self._own)}\n",
            f"def m(self, p, *rest, q={self._pick(_LITERALS)}, **more):\n    return p, rest, q, more, self.__own\n",
            f"@property\ndef y(self):\n    return {self._expression(1, ('self._z', '1', 'LEVEL'))}\n",
            f"@classmethod\ndef make(cls, v: {self._pick(_TYPES)} = 1) -> {self._pick(_TYPES)}:\n    return cls(v)\n",
            f"def __eq__(self, o):\n    return self._z {self._pick(('==', '!='))} getattr(o, '_z', o)\n",
            f"def __add__(self, o):\n    self.x += {self._pick(_LITERALS)}\n    return self.x\n",
            f"def __getattr__(self, name):\n    if name == 'items_':\n        return {self._pick(_LITERALS)}\n    raise AttributeError(name)\n",
            f"def __contains__(self, o):\n    return {self._expression(1, ('o', 'self._z'))}\n",
            "def __call__(self, *a, **k):\n    return len(a), sorted(k)\n",
        ]
        chosen = members[:1] + self._random.sample(members[1:], 5)
        field = f"x: {self._pick(_TYPES)} = {self._pick(_LITERALS)}\n"
        shown = "def __repr__(self):\n    return f'{type(self).__name__}<{self._z!r:.40}>'\n"
        hashed = "__hash__ = None\n" if self._random.random() < 0.2 else ""
        return f"class {name}({base}):\n{_indent(field + hashed + shown + ''.join(chosen))}"

    # -- statements ---------------------------------------------------------------------------

    def _top_statement(self) -> str:
        """Mostly held by a `try`, so that the rest of the case is reached."""
        statement = self._statement(3)
        if self._random.random() < 0.05:
            return statement
        return f"try:\n{_indent(statement)}except Exception as error:\n    print(type(error).__name__, error)\n"

    def _statement(self, depth: int) -> str:
        simple: list[Callable[[], str]] = [
            lambda: f"{self._name()} = {self._expression(2)}\n",
            lambda: f"{self._name()} {self._pick(_BINARY)}= {self._expression(1)}\n",
            lambda: f"{self._target()} = {self._expression(1)}\n",
            lambda: f"{self._target()} {self._pick(_BINARY)}= {self._expression(1)}\n",
            lambda: f"{self._name()}, *{self._name()} = {self._expression(1)}\n",
            lambda: f"print({self._expression(1)}, f'{{{self._name()}!r:.30}}', end={self._pick(('chr(10)', repr('|')))})\n",
            lambda: f"assert {self._expression(1)}, 'asserted'\n" if self._random.random() < 0.3 else "pass\n",
            lambda: f"{self._name()} = bump({self._expression(1)})\n",
            lambda: f"raise {self._pick(('ValueError', 'KeyError', 'Own'))}({self._expression(1)})\n"
            if self._random.random() < 0.2 else "pass\n",
            lambda: f"del {self._target()}\n" if self._random.random() < 0.3 else "pass\n",
        ]  # fmt: skip
        if depth <= 0 or self._random.random() < 0.6:
            return self._random.choice(simple)()
        return self._random.choice((self._if, self._for, self._try, self._with, self._function, self._match))(depth - 1)

    def _block(self, depth: int) -> str:
        return _indent("".join(self._statement(depth) for _ in range(self._random.randint(1, 3))))

    def _if(self, depth: int) -> str:
        return f"if (n := {self._expression(2)}) is not None and n:\n{self._block(depth)}else:\n{self._block(depth)}"

    def _for(self, depth: int) -> str:
        stop = self._pick(("", "    if {0}: break\n", "    if {0}: continue\n")).format(self._expression(1))
        target = self._pick(("i", "i, j", self._name()))
        loop = f"for {target} in list({self._expression(1)})[:4]:\n{stop}{self._block(depth)}"
        return loop + (f"else:\n{self._block(depth)}" if self._random.random() < 0.4 else "")

    def _try(self, depth: int) -> str:
        handler = f"except {self._pick(_ERRORS)} as error:\n    print(type(error).__name__, error.args[:1])\n"
        parts = f"try:\n{self._block(depth)}{handler}"
        parts += f"else:\n{self._block(depth)}" if self._random.random() < 0.3 else ""
        return parts + (f"finally:\n{self._block(0)}" if self._random.random() < 0.4 else "")

    def _with(self, depth: int) -> str:
        manager = self._pick(("Manager(True)", "Manager(False)", "managed('m')", "Manager(True), managed('n')"))
        return f"with {manager} as w:\n{self._block(depth)}" if "," not in manager else f"with {manager}:\n{self._block(depth)}"

    def _function(self, depth: int) -> str:
        self._made += 1
        name, bound = f"f{self._made}", self._name()
        scope = f"nonlocal {bound}\n" if self._random.random() < 0.5 else f"{bound} = 0\n"
        body = _indent(scope) + self._block(min(depth, 1)) + f"    return {self._expression(1)}\n"
        decorator = self._pick(("", "@traced\n", "@traced\n"))
        call = f"{self._name()} = {name}({self._expression(1)})\n"
        return f"{decorator}def {name}(p: {self._pick(_TYPES)} = 0, *q):\n{body}{call}"

    def _match(self, depth: int) -> str:
        cases = "".join(f"case {pattern}:\n{self._block(0)}" for pattern in self._random.sample(_PATTERNS, 3))
        return f"match {self._expression(1)}:\n{_indent(cases)}"

    # -- expressions --------------------------------------------------------------------------

    def _name(self) -> str:
        return self._pick(_NAMES)

    def _target(self) -> str:
        return self._pick((f"e.{self._pick(_ATTRIBUTES)}", f"{self._name()}[{self._pick(_LITERALS)}]", f"b[{self._name()}:]"))

    def _expression(self, depth: int, leaves: tuple[str, ...] = ()) -> str:
        if depth <= 0 or self._random.random() < 0.2:
            return self._pick(leaves or (*_NAMES, *_LITERALS))

        def part() -> str:
            return self._expression(depth - 1, leaves)

        return self._random.choice((
            lambda: f"({part()} {self._pick(_BINARY)} {part()})",
            lambda: f"({part()} {self._pick(_COMPARE)} {part()})",
            lambda: f"({part()} {self._pick(('<', '=='))} {part()} {self._pick(('<', '>='))} {part()})",
            lambda: f"({part()} if {part()} else {part()})",
            lambda: f"({part()} {self._pick(('and', 'or'))} not {part()})",
            lambda: f"[{part()}, *{part()}]",
            lambda: f"{{'p': {part()}, **{{'q': {part()}}}}}",
            lambda: f"[v for v in {part()} if v]",
            lambda: f"{{str(v): w for v, w in enumerate({part()})}}",
            lambda: f"sum(len(str(v)) for v in [{part()}])",
            lambda: f"(lambda n, *r, k=2: (n, r, k))({part()}, *[{part()}])",
            lambda: f"{part()}[{part()}]",
            lambda: f"{part()}[{self._pick((':2', '::-1', '1:'))}]",
            lambda: f"getattr({part()}, '{self._pick(_ATTRIBUTES)}', {part()})",
            lambda: f"hasattr({part()}, '{self._pick(_ATTRIBUTES)}')",
            lambda: f"'{{}}:{{!r:.9}}'.format({part()}, {part()})",
            lambda: f"f'{{{self._name()}!r:.20}}-{{{self._name()}}}'",
            lambda: f"isinstance({part()}, ({self._pick(('int', 'str', 'list', 'Base', 'type'))}, K0))",
            lambda: f"{self._pick(('K0', 'K1', 'K2'))}.make({part()})",
            lambda: f"type({part()}).__name__",
            lambda: f"{self._pick(('len', 'str', 'list', 'sorted', 'abs', 'bool', 'tuple'))}({part()})",
        ))()  # fmt: skip


def _indent(text: str) -> str:
    return textwrap.indent(text, "    ")


_TYPES = ("int", "'int'", "'K0'", "Optional[int]", "List['K1']", "'Dict[str, Nowhere]'", "Any")
_PATTERNS = ("0 | 1", "'ab'", "[first, *_]", "(p, q)", "None", "True", "[]", "-3", "str_ if str_")
_HEAD = '''
import functools
from contextlib import contextmanager
from typing import Any, Dict, List, Optional

LEVEL = 3


class Own(ValueError):
    def __init__(self, what):
        super().__init__(what)
        self.what = what


class Base:
    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.kind = cls.__name__.lower()

    def __init__(self, n=0):
        self.n = n


class Manager:
    def __init__(self, swallow):
        self.swallow = swallow

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        print("exit", kind and kind.__name__)
        return self.swallow


@contextmanager
def managed(name):
    print("enter", name)
    try:
        yield name
    finally:
        print("leave", name)


def traced(f):
    @functools.wraps(f)
    def inner(*args, **kwargs):
        result = f(*args, **kwargs)
        print(f.__name__, repr(result)[:40])
        return result

    return inner


def bump(by):
    global LEVEL
    LEVEL += 1
    return LEVEL, by
'''
