"""Frames become texts: decoding within bounds, the ladder within a budget."""
