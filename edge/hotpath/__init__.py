"""The rules: values in, verdict out.

- Pure: no I/O, no clock, no async, no randomness; `now` is a parameter.
- One rule set, used online, offline and by the central platform.
"""
