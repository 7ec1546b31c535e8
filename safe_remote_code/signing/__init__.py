"""Who says so: keys, envelopes and statements, and what makes a signature count.

Pure: bytes and keys in, values out. Which signatures are *required* is for `verify.trust` to say.
`cryptography` does the arithmetic, and is imported when the first key is read, not before.
"""
