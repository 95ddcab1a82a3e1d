"""The pure rungs that turn a grey plane into texts."""
