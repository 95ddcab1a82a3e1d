"""Several processes of one node: one keeps, the others answer codes beside it."""
