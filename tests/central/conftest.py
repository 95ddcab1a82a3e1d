"""The platform at a desk, for every file of this folder."""

from tests.central.test_platform import desk

__all__ = ["desk"]
