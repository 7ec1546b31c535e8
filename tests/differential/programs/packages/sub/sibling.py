import importlib

from . import inner
from .inner import helper


def call_sibling():
    return helper() + inner.helper(), importlib.import_module(".inner", __package__) is inner, importlib.import_module("..alpha", __package__).VALUE, __package__
