"""Names of what is in a registry: `HOST/NAME[:TAG][@DIGEST]`.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#pulling-manifests
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from builders.errors import RegistryError

_REPOSITORY = re.compile(
    r"(?P<host>localhost|localhost:[0-9]+|\[[0-9a-f:]+\](?::[0-9]+)?|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::[0-9]+)?|[A-Za-z0-9-]+:[0-9]+)"
    r"/(?P<path>[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*)"
)
_REFERENCE = re.compile(
    r"(?P<repository>.+?)(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_REMEDY = "write HOST/NAME[:TAG][@DIGEST], such as ghcr.io/acme/equivec/onnxruntime-fixture-768"


@dataclass(frozen=True, kw_only=True, order=True)
class Repository:
    """Where the manifests and blobs of one image are.

    Attributes:
        host: Of the registry, with its port if it has one of its own.
        path: Its name there.
    """

    host: str
    path: str

    def __str__(self) -> str:
        return f"{self.host}/{self.path}"

    @property
    def loopback(self) -> bool:
        """Whether the registry is on this machine: such a one may do without TLS, as for Docker."""
        name = self.host.rpartition(":")[0] if re.search(r":[0-9]+$", self.host) else self.host
        if name == "localhost":
            return True
        try:
            return ipaddress.ip_address(name.strip("[]")).is_loopback
        except ValueError:
            return False

    def tagged(self, tag: str) -> Reference:
        """Return the reference to what a tag is on."""
        return Reference(repository=self, tag=tag)

    def at(self, digest: str) -> Reference:
        """Return the reference to a manifest, by its digest."""
        return Reference(repository=self, digest=digest)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A manifest in a registry: by its digest, or by a tag, which may move."""

    repository: Repository
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        tag = "" if self.tag is None else f":{self.tag}"
        digest = "" if self.digest is None else f"@{self.digest}"
        return f"{self.repository}{tag}{digest}"


def repository(text: str) -> Repository:
    """Read `HOST/NAME`.

    Raises:
        RegistryError: It is not that.
    """
    found = _REPOSITORY.fullmatch(text)
    if found is None:
        raise RegistryError("not the name of a repository", where=text, remedy=_REMEDY)
    return Repository(host=found["host"], path=found["path"])


def reference(text: str) -> Reference:
    """Read `HOST/NAME[:TAG][@DIGEST]`, with or without `docker://` before it.

    Raises:
        RegistryError: It is not that.
    """
    found = _REFERENCE.fullmatch(text.removeprefix("docker://"))
    if found is None:
        raise RegistryError("not a reference to an image", where=text, remedy=_REMEDY)
    return Reference(
        repository=repository(found["repository"]), tag=found["tag"], digest=found["digest"]
    )
