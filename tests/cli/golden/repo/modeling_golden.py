"""One finding of each standing, for the golden reports."""

import math

import requests

from .helper_golden import scale


class GoldenModel:
    def forward(self, x):
        return scale(math.sqrt(x))

    def fetch(self, url):
        return requests.get(url)


eval("1 + 1")
