"""The inventory: what an image is made of, from its locks, and held against its files."""
