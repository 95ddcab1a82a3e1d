"""The demo: a small city on embedded storage, played over HTTP."""
