"""Attestations: in-toto statements about image manifests and indexes, signed or not."""
