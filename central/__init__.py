"""The central platform: issuer, registry, feed and journal intake."""
