"""The awaits of one verification, readable top to bottom."""
