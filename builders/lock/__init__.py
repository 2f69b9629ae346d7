"""The locks: which exact inputs, with their sha256. `session` chooses them anew."""
