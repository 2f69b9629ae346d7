"""The measurements of `nox -s bench -- serve`: the service against its library and its peers."""
