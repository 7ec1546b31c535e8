"""Classes, keys, iterators and reflection of remote code are what they are natively; no library is needed for it."""

from __future__ import annotations

import abc
import functools
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("RestrictedPython")

from safe_remote_code.errors import GuardViolationError, PolicyError

from .written import written


def test_an_abstract_class_may_name_its_metaclass(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        import abc
        from abc import ABCMeta

        class Base(metaclass=ABCMeta):
            "What it is for."

            @abc.abstractmethod
            def act(self):
                ...

        class Made(Base, metaclass=abc.ABCMeta):
            def act(self):
                return 1
        """,
    )
    assert type(module.Base) is abc.ABCMeta and module.Base.__doc__ == "What it is for."
    assert module.Made().act() == 1
    with pytest.raises(TypeError, match="abstract"):
        module.Base()


@pytest.mark.parametrize("metaclass", ["type", "Own", "abc.ABCMeta if flag else Own", "enum.EnumMeta", "Own()"])
def test_no_other_metaclass(tmp_path: Path, metaclass: str) -> None:
    text = f"import abc, enum\nflag = False\nclass Own:\n    pass\nclass X(metaclass={metaclass}):\n    pass\n"
    with pytest.raises((PolicyError, GuardViolationError), match="metaclass|EnumMeta"):
        written(tmp_path, text)


def test_classes_of_every_kind_are_finished_once(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        import enum
        from dataclasses import dataclass, field
        from typing import Generic, NamedTuple, Protocol, TypedDict, TypeVar

        T = TypeVar("T")
        seen = []

        class Colour(str, enum.Enum):
            "Some."
            RED = "red"

            def __new__(cls, value):
                made = str.__new__(cls, value)
                made._value_ = value
                return made

        class Pair(NamedTuple):
            left: int
            right: int = 2

        class Settings(TypedDict, total=False):
            a: int

        class Runs(Protocol):
            def run(self): ...

        class Box(Generic[T]):
            def __init_subclass__(cls, **keywords):
                super().__init_subclass__(**keywords)
                seen.append(cls.__name__)

        class Small(Box[int]):
            pass

        @dataclass(frozen=True)
        class Point:
            x: int = 1
            names: list = field(default_factory=list)

        @dataclass(slots=True)
        class Slotted:
            x: int = 1
        """,
    )
    assert module.Colour("red") is module.Colour.RED and module.Colour.RED == "red"
    assert list(module.Colour.__members__) == ["RED"] and module.Colour.__doc__ == "Some."
    assert module.Pair(1) == (1, 2) and module.Settings(a=1) == {"a": 1}
    assert module.seen == ["Small"]
    assert module.Point() == module.Point() and module.Slotted().x == 1
    for name in ("Colour", "Pair", "Settings", "Runs", "Box", "Small", "Point", "Slotted"):
        assert not [key for key in vars(getattr(module, name)) if " " in key], name


def test_keys_of_remote_classes_work_as_natively(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        class Edge:
            def __init__(self, a, b):
                self.a, self.b = a, b

            def __eq__(self, other):
                return (self.a, self.b) == (getattr(other, "a", None), getattr(other, "b", None))

            def __hash__(self):
                return hash((self.a, self.b))

        class Mode(str):
            def __eq__(self, other):
                return self.lower() == str(other).lower()

            def __hash__(self):
                return hash(self.lower())

        order = [(edge.a, edge.b) for edge in {Edge(3, 1), Edge(0, 2), Edge(3, 1), Edge(9, 9)}]
        modes = {Mode("Train"): 1}
        found = modes[Mode("train")], Mode("EVAL") == "eval", "eval" == Mode("EVAL"), hash(Mode("A")) == hash("a")
        """,
    )
    native: dict[str, Any] = {}
    exec(  # the same text, by Python itself
        "class Edge:\n def __init__(s, a, b): s.a, s.b = a, b\n def __eq__(s, o): return (s.a, s.b) == (o.a, o.b)\n"
        " def __hash__(s): return hash((s.a, s.b))\n"
        "order = [(e.a, e.b) for e in {Edge(3, 1), Edge(0, 2), Edge(3, 1), Edge(9, 9)}]",
        native,
    )
    assert module.order == native["order"]
    assert module.found == (1, True, True, True)
    assert {"eval": 1}.get(module.Mode("EVAL")) is None, "to others it is the text that it is"


def test_iterators_and_factories(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        import functools, itertools, operator
        from collections import defaultdict
        from functools import cached_property, partial

        counts = defaultdict(int)
        for letter in "abca":
            counts[letter] += 1
        nested = defaultdict(lambda: defaultdict(list))
        nested["a"]["b"].append(1)

        class Own(defaultdict):
            pass

        def double(value, by=2):
            return value * by

        class Holder:
            @cached_property
            def value(self):
                return 5

        twice = partial(double, by=2)
        results = [
            dict(counts), nested["a"]["b"], Own(int)["x"], list(map(double, [1, 2])), list(map(operator.add, [1], [2])),
            list(filter(None, [0, 1])), list(filter(lambda x: x > 1, [1, 2])), list(iter([1, 2].pop, 1)), Holder().value,
            list(itertools.accumulate([1, 2, 3], operator.mul)), list(itertools.starmap(pow, [(2, 3)])),
            [(key, list(group)) for key, group in itertools.groupby("aab", key=str.upper)], twice(4),
            isinstance(twice, partial), isinstance(counts, defaultdict), isinstance(map(int, "1"), map),
            list(map(int, "12")), list(itertools.accumulate([1, 2], func=max)), sorted(map(str, [2, 1])),
        ]

        def annotated(x: defaultdict[str, int] = None, y: "partial | None" = None) -> "map":
            return x
        """,
    )
    assert module.results == [
        {"a": 2, "b": 1, "c": 1}, [1], 0, [2, 4], [3], [1], [2], [2], 5, [1, 2, 6], [8],
        [("A", ["a", "a"]), ("B", ["b"])], 8, True, True, True, [1, 2], [1, 2], ["1", "2"],
    ]  # fmt: skip
    assert type(module.counts) is defaultdict and type(module.twice) is functools.partial


def test_views_and_kinds_are_as_natively(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        import enum
        from collections import defaultdict
        from dataclasses import dataclass, field, fields

        class Kind(enum.Enum):
            A = 1
            B = 2

        @dataclass
        class Settings:
            size: int = field(default=1, metadata={"help": "how many"})

        class Counts(defaultdict):
            pass

        views = [list(Kind.__members__), Kind.__members__["B"].value, fields(Settings)[0].metadata["help"], len(Kind)]
        counts = Counts(int)
        counts["a"] += 1
        kinds = [isinstance(type(counts)(list)["x"], list), type(map(int, "1")).__name__, type(defaultdict(int)).__name__,
                 isinstance(defaultdict(int), dict), type({}) is dict, type(counts) is Counts]
        """,
    )
    assert module.views == [["A", "B"], 2, "how many", 2]
    assert module.kinds == [True, "map", "defaultdict", True, True, True] and module.counts == {"a": 1}


@pytest.mark.parametrize("value", ["['org/repo']", "['kernels-community/../x']", "NAMES", "['a'] + NAMES"])
def test_other_kernels_may_not(tmp_path: Path, value: str) -> None:
    text = f"NAMES = ['org/repo']\nclass A:\n    _compatible_flash_implementations = {value}\n"
    with pytest.raises((PolicyError, GuardViolationError), match="kernels|literal list"):
        written(tmp_path, text)


def test_getattr_of_every_shape(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        class A:
            x = 1

        pair = (A, "x")
        found = [getattr(*pair), getattr(A, *("x",)), getattr(*(A, "y"), 3), hasattr(*pair), getattr(A, "y", *(4,))]
        setattr(*(A, "z"), 5)

        def walk():
            return getattr(*[walk, "__globals__"], "x")
        """,
    )
    assert module.found == [1, 1, 3, True, 4] and module.A.z == 5
    with pytest.raises(GuardViolationError, match="__globals__"):
        module.walk()
