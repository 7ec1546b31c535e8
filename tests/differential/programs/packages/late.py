registry = {}
none_value = None


def register(name):
    def deco(f):
        registry[name] = f
        return f

    return deco
