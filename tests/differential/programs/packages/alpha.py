"""Doc of alpha."""
VALUE = 5
STATE = []
_hidden = "hidden"
_count = 0


class Thing:
    def name(self):
        return "thing"


def bump():
    global _count
    _count += 1
    STATE.append(_count)


def counter():
    return _count
