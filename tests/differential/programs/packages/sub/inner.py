from ..alpha import VALUE


def helper():
    return VALUE * 2
