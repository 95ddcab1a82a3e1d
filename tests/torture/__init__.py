"""Long fault tests: `make torture`."""
