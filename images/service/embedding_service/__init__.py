"""The embedding service: the same program in every image and on the host.

It serves the model in `EMBEDDING_MODEL_DIR` through the class `Backend` of the module `backend`,
which must be importable. See `settings` for its environment, `errors` for its exit codes and
`contract` for what a backend is.
"""
