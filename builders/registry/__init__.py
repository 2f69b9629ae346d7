"""Registries: what is named there, how it is asked, and how tested images get there."""
