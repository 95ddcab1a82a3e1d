"""The journal: durable before the answer leaves."""
