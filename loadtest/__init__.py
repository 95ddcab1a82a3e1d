"""Open-loop load against a node on loopback."""
