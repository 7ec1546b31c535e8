"""What a process says of itself: whether the guard is its loader, and whether the kernel holds it."""

import os


def report(load=True):
    with open("/proc/self/status") as stream:
        lines = dict(line.split(":\t", 1) for line in stream.read().splitlines() if ":\t" in line)
    loader = ""
    if load:
        from transformers import dynamic_module_utils

        loader = dynamic_module_utils.get_class_from_dynamic_module.__module__
    return {
        "guard": loader.startswith("safe_remote_code.") if load else None,
        "seccomp": lines["Seccomp"] == "2" and lines["NoNewPrivs"] == "1",
        "secret": readable(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../outside/secret")),
    }


def readable(path):
    try:
        with open(path) as stream:
            return stream.read()
    except OSError:
        return None
