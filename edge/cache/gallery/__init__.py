"""The gallery: every reference that may be identified, searched as a whole."""
