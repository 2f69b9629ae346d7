"""Pretrained models: files from a hub or a directory, pinned, and what is made of them."""
