"""HTTP and pages of the edge node."""
