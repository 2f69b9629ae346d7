"""What the maintainer scripts of the Debian packages would have made on a running system.

They are programs of the target platform, so they are not executed: these files say the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from builders.errors import ArchiveError

CERTIFICATES = "usr/share/ca-certificates/"
"""Where the package ca-certificates has each authority's certificate, in a file of its own."""

BUNDLE = "etc/ssl/certs/ca-certificates.crt"

LINKS: Mapping[str, str] = {
    "etc/localtime": "/usr/share/zoneinfo/Etc/UTC",
    # OpenSSL's own places, which every TLS client of the image looks at without being told.
    "usr/lib/ssl/cert.pem": f"/{BUNDLE}",
    "usr/lib/ssl/certs": "/etc/ssl/certs",
    "usr/bin/python3": "python3.11",
}
"""Symbolic links by their path relative to the root, and what they say."""

MERGED: Mapping[str, str] = {name: f"usr/{name}" for name in ("bin", "lib", "lib64", "sbin")}
"""The directories of the root that are links into /usr (https://wiki.debian.org/UsrMerge); lib64
only where the machine's packages have it. Packages of bookworm use either name."""

# Written out, since base-passwd's lists name thirty users that nothing here runs as.
_FIXED: Mapping[str, str] = {
    "etc/group": "root:x:0:\nnogroup:x:65534:\nequivec:x:65532:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n"
    "protocols: files\n",
    "etc/passwd": "root:x:0:0:root:/root:/usr/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    "equivec:x:65532:65532:equivec:/nonexistent:/usr/sbin/nologin\n",
    "etc/timezone": "Etc/UTC\n",
}


def files(certificates: Iterable[bytes], packages: Mapping[str, str]) -> Mapping[str, bytes]:
    """Return the content of each file, by its path relative to the root.

    Args:
        certificates: Those of ca-certificates, in the order of their paths.
        packages: The control paragraph of each package, by its name. Vulnerability scanners find
            them below var/lib/dpkg/status.d, the place that images without dpkg have for them.
    """
    made = {path: text.encode() for path, text in _FIXED.items()}
    made[BUNDLE] = bundle(certificates)
    for name, control in packages.items():
        made[f"var/lib/dpkg/status.d/{name}"] = control.encode()
    return made


def bundle(certificates: Iterable[bytes]) -> bytes:
    """Return one file of all certificates, as update-ca-certificates writes it.

    Raises:
        ArchiveError: There is none, or one that is not in PEM form: TLS would trust nobody.
    """
    parts = [certificate.rstrip(b"\n") + b"\n" for certificate in certificates]
    if not parts or not all(b"-----BEGIN CERTIFICATE-----" in part for part in parts):
        raise ArchiveError(
            "the packages hold no certificates, or one that is not in PEM form",
            where=CERTIFICATES,
            remedy="name ca-certificates in images/base/packages.txt",
        )
    return b"".join(parts)
