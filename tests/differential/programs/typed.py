import collections.abc
import inspect
import typing
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Generic,
    Iterable,
    Iterator,
    List,
    Literal,
    NewType,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    Type,
    TypeVar,
    Union,
    cast,
    final,
    get_args,
    get_origin,
    overload,
    runtime_checkable,
)

if TYPE_CHECKING:
    from nowhere import Nothing

T = TypeVar("T")
K = TypeVar("K", bound="Node")
N = TypeVar("N", int, float)
UserId = NewType("UserId", int)
Alias = Dict[str, List[int]]
Fn = Callable[[int, "Node"], Optional[T]]
JSON = Union[None, int, "str", List["JSON"]]


class Node:
    parent: "Optional[Node]" = None
    children: List["Node"]
    later: "Nothing"
    table: Dict[str, "Node"] = {}
    count: int

    def __init__(self, value: "int", parent: Optional["Node"] = None) -> None:
        self.value: int = value
        self.parent = parent
        self.children: List["Node"] = []

    def add(self: K, other: "Node") -> "K":
        other.parent = self
        self.children.append(other)
        return self

    @classmethod
    def kind(cls: Type["Node"]) -> "type[Node]":
        return cls


class Box(Generic[T]):
    item: T

    def __init__(self, item: T):
        self.item = item

    def map(self, f: "Callable[[T], T]") -> "Box[T]":
        return Box(f(self.item))


class Pair(Box[T], Generic[T, N]):
    pass


@runtime_checkable
class Closes(Protocol):
    def close(self) -> None:
        ...


class File:
    def close(self):
        pass


@overload
def over(x: int) -> int:
    ...


@overload
def over(x: str) -> str:
    ...


def over(x):
    return x


@final
class Final_:
    pass


def annotated(a: int, b: "str", *args: "int", c: Optional["Node"] = None, d: "Nothing" = 3, e: Literal["x", "y"] = "x",
              f: Union[int, "Node", None] = None, g: "list[Node]" = (), **kw: Any) -> "Dict[str, Node]":
    return {}


def later(x: "not valid python at all (") -> None:
    return None


def local_annotation():
    x: "Nothing" = 3
    y: int
    (z): List["Q"] = [1]
    return x, z


def case_values():
    n = Node(1).add(Node(2))
    return n.children[0].value, n.children[0].parent is n, Node.kind() is Node, n.parent, Node.table


def case_generic():
    return Box(3).map(lambda x: x + 1).item, Box[int](2).item, Pair[str, int]("a").item, Box[int] is Box[int]


def case_get_args():
    return (get_args(Alias), get_origin(Alias), get_args(Optional[int]), get_origin(List[int]), get_args(Literal["a", 1]),
            get_origin(Union[int, str]) is Union, get_args(Callable[[int], str]), get_args(int), get_origin(list[int]))


def case_hints_simple():
    def f(a: int, b: str = "x") -> bool:
        return True

    return typing.get_type_hints(f)


def case_hints_text():
    def f(a: "int", b: "Optional[Node]" = None) -> "List[Node]":
        return []

    hints = typing.get_type_hints(f)
    return hints["a"] is int, hints["b"] == Optional[Node], hints["return"] == List[Node]


def case_hints_class():
    class A:
        x: int
        y: "str"
        z: Optional["Node"]

    hints = typing.get_type_hints(A)
    return hints["x"], hints["y"], hints["z"] == Optional[Node]


def case_signature():
    signature = inspect.signature(annotated)
    return [str(p) if p.name not in "cdfg" else p.name for p in signature.parameters.values()]


def case_signature_text():
    return str(inspect.signature(annotated)), str(inspect.signature(Node.__init__)), str(inspect.signature(later))


def case_parameter_names():
    return list(inspect.signature(Node.add).parameters), inspect.signature(annotated).parameters["e"].default


def case_protocol():
    return isinstance(File(), Closes), isinstance(3, Closes)


def case_newtype_cast():
    return UserId(4), cast("Nothing", 5), cast(int, "x"), over("q"), over(1)


def case_local_annotation():
    return local_annotation()


def case_abc():
    class S(collections.abc.Sequence):
        def __getitem__(self, i):
            return [1, 2][i]

        def __len__(self):
            return 2

    class M(collections.abc.MutableMapping):
        def __init__(self):
            self.d = {}

        def __getitem__(self, k):
            return self.d[k]

        def __setitem__(self, k, v):
            self.d[k] = v

        def __delitem__(self, k):
            del self.d[k]

        def __iter__(self):
            return iter(self.d)

        def __len__(self):
            return len(self.d)

    m = M()
    m["a"] = 1
    m.update(b=2)
    return list(S()), 2 in S(), S().index(2), list(reversed(S())), dict(m), m.pop("a"), isinstance([], collections.abc.Iterable), isinstance(m, typing.Mapping)


def case_typing_isinstance():
    return isinstance([], Iterable), isinstance(iter([]), Iterator), isinstance((), Sequence), issubclass(dict, collections.abc.Mapping)


def case_type_annotations_of_type():
    def f(x: type, y: type[int], z: Type[Node], w: "type" = None) -> type:
        return x

    return f(int), f(Node) is Node


def case_union_operator():
    def f(x: int | None, y: list[int] | str = "a", z: "Node | None" = None) -> "int | str":
        return x

    return f(1), str(inspect.signature(f))


def case_tuple_types():
    def f(x: Tuple[int, ...], y: Tuple["Node", int], z: tuple[()] = ()) -> None:
        return None

    return f((1,), (2, 3))


def case_typevar_repr():
    return T, N, K, str(Fn), str(Alias), T.__name__


def case_module_annotated():
    return module_level, [x for x in ("unset",) if x in dir()]


def case_hash_and_cache():
    return {List[int]: 1}[List[int]], Optional[int] == Union[int, None], hash(Dict[str, int]) == hash(Dict[str, int])


module_level: "Nothing" = 5
unset: "List[Nothing]"
