from . import one


class Two:
    def __init__(self, owner):
        self.owner = owner

    def back(self):
        return one.One()
