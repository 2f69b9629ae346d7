"""Releases: tags on digests that have a passing verdict; nothing is rebuilt (docs/release.md)."""
