"""Replacements of functions that would reach files, the environment or reflection."""
