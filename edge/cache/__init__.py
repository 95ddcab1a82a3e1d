"""What the node holds: credentials, references, status, trust, the replay guard."""
