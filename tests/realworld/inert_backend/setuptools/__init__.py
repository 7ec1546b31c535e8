"""Stands where an sdist expects setuptools, so that fetching one runs none of its code.

`pip download` asks a source package for its metadata, which ordinarily runs the package's own `setup.py`. With this
folder first on PYTHONPATH and build isolation off, pip asks `build_meta` beside this file instead.
"""
