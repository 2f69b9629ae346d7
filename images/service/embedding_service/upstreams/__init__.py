"""Upstreams: models that are served elsewhere, by APIs that speak OpenAI's interface."""
