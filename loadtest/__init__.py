"""Open-loop load against a node: genuine codes, many gates, honest percentiles."""
