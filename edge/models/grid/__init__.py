"""Detectors that answer for every cell of a grid with a box and five points."""
