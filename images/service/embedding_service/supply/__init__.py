"""Model supply: files are in the model's directory, or, where that is allowed, come from a hub."""
