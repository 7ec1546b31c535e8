__all__ = []
not_in_all = 3
