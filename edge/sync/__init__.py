"""Believing the central platform: rules apart from the bytes that carry them."""
