"""Benchmarks: one file a question, each a ratio."""
