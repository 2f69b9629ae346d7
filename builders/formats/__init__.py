"""The file formats that Equivec reads and writes: packages, programs, archives, OCI layouts."""
