"""Deduplication by text, as pure functions on arrays: hashes, sketches, bands, components, listed lines."""
