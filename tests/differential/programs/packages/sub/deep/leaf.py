from .. import exported as from_parent
from ...alpha import VALUE
from ... import alpha
from . import NAME
from ..inner import helper

LEAF = ("leaf", NAME)


def up_two():
    return from_parent, helper()


def up_three():
    return VALUE, alpha.counter() >= 0
