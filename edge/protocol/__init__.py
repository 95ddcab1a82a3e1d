"""Wire formats and their limits: the floor that edge, central and loadtest share.

- Structs and pure encoders/decoders only; no I/O, no clock, no randomness.
- Every format carries a version; every size has a named limit.
"""
