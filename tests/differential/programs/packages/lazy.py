COUNT = 3


def lazily():
    return "lazy", COUNT
