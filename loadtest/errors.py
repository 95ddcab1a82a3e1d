"""What can go wrong before any load is made."""


class LoadTestError(Exception):
    """A sentence for whoever runs the test: what is wrong and what to do."""
