from . import two
from .two import Two


class One:
    def partner(self):
        return two.Two(self)


def two_of():
    return Two(None).__class__.__name__
