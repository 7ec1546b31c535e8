__all__ = ["public_one", "public_two", "listed_none"]
public_one = 1
not_in_all = 2
listed_none = None


def public_two():
    return not_in_all
