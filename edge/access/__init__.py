"""Who may come in, and over which wire: accounts, sessions, TLS; node and platform share it."""
