"""Reference vectors that travel: made on one host, held against another's."""
