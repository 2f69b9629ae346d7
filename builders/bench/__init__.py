"""Benchmarks: what is claimed, how it is measured, and the page that says what came out."""
