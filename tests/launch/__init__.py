"""`safe-remote-code run` from an installed wheel: programs that serve, train and start processes."""
