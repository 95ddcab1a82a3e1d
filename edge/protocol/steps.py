"""KH1's steps and days, by themselves: whoever needs no more than that loads no kernels."""

STEP_S = 5
"""Length of a step in seconds."""
DAY_S = 86_400
"""Length of a key epoch in seconds."""
