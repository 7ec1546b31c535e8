from .alpha import VALUE, Thing


class Better(Thing):
    def name(self):
        return super().name() + "!"


def from_alpha():
    return VALUE + 1, Better().name()
