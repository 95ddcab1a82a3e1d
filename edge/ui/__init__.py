"""What every page shares: the design system, both languages, headers; node and platform use it."""
