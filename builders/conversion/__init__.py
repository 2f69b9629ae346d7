"""Conversion: a checkpoint's tensors as ONNX and GGUF, the same bytes on every machine.

Fixture models and real ones are written by the same code, from tensors by the names that they have
in transformers.
"""
