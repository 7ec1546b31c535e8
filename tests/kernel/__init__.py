"""The kernel wall alone: native calls through ctypes, no Python guard anywhere."""
