"""Faces towards other libraries. Only this package imports transformers, and only when asked."""
