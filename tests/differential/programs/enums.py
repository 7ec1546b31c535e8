import enum
from enum import Enum, Flag, IntEnum, auto, unique


class Color(Enum):
    RED = 1
    GREEN = "g"
    BLUE = (1, 2)
    CRIMSON = 1

    @property
    def lower(self):
        return self.name.lower()

    @classmethod
    def parse(cls, text):
        return cls[text.upper()]

    def __str__(self):
        return f"color {self.name}"


class Size(IntEnum):
    S = auto()
    M = auto()


class Perm(Flag):
    R = auto()
    W = auto()
    RW = R | W


class Kind(str, Enum):
    A = "a"
    B = "b"


class Planet(Enum):
    EARTH = (5.9, 6.3)
    MARS = (0.6, 3.3)

    def __init__(self, mass, radius):
        self.mass = mass
        self.radius = radius

    @property
    def density(self):
        return round(self.mass / self.radius, 3)


class Auto(Enum):
    def _generate_next_value_(name, start, count, last_values):
        return name * 2

    X = auto()
    Y = auto()


class ExplicitEnum(str, Enum):
    @classmethod
    def _missing_(cls, value):
        raise ValueError(f"{value} is not a valid {cls.__name__}, please select one of {list(cls._value2member_map_.keys())}")


class Padding(ExplicitEnum):
    LONGEST = "longest"
    MAX = "max_length"


def case_members():
    return list(Color), Color.RED.value, Color("g"), Color["BLUE"], Color.CRIMSON is Color.RED, len(Color), Color.RED.lower, Color.parse("red")


def case_text():
    return str(Color.RED), repr(Color.GREEN), f"{Color.BLUE}", Color.RED.name


def case_compare():
    return Color.RED == Color.RED, Color.RED == 1, Color.RED in Color, Size.S < Size.M, Size.M + 1, Kind.A == "a", {Kind.A: 1}["a"]


def case_flags():
    return Perm.R | Perm.W, Perm.RW & Perm.R, Perm.R in Perm.RW, bool(Perm.R & Perm.W), ~Perm.R


def case_planet():
    return Planet.EARTH.density, [p.mass for p in Planet], Planet.MARS.value


def case_auto():
    return [a.value for a in Auto]


def case_missing_value():
    return Color("nope")


def case_missing_key():
    return Color["nope"]


def case_own_missing():
    return Padding("zz")


def case_own_present():
    return Padding("longest"), Padding.MAX.value, isinstance(Padding.MAX, str), Padding("longest") is Padding.LONGEST


def case_set_member():
    Color.RED = 3


def case_unique():
    @unique
    class U(Enum):
        A = 1
        B = 1


def case_functional_members():
    return Color.__members__["RED"] if False else [m for m in dir(Color) if m == "RED"]


def case_loop_and_hash():
    return {c: c.name for c in Color}, [(e.name, e.value) for e in Size], isinstance(Size.S, int), Kind.A.upper()


def case_enum_by_getattr():
    return getattr(Color, "RED"), hasattr(Color, "NOPE"), getattr(Color, "".join(["GR", "EEN"]))
