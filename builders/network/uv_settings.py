"""Where uv finds packages: pip's settings in uv's words, and pages of wheels beside them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from packaging.utils import canonicalize_name

from builders.lock import wheel_tags
from builders.network.pip_settings import PipSettings

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*", re.MULTILINE)


def uv_environment(
    settings: PipSettings, cache: Path, environment: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment that tells uv what pip's settings say; uv's own variables win.

    pip takes the best version of all indexes alike, uv by default only looks at the first that has
    the project: a mirror of some wheels would hide the other platforms'. That every index is
    trusted with every name is pip's risk too; the lock's digests bound it.
    """
    translated = {
        "UV_CACHE_DIR": str(cache / "uv"),
        "UV_DEFAULT_INDEX": settings.index_url,
        "UV_INDEX": " ".join(settings.extra_index_urls),
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": ",".join(settings.find_links),
        "UV_INSECURE_HOST": " ".join(settings.trusted_hosts),
        "UV_SYSTEM_CERTS": "1",
        "UV_HTTP_TIMEOUT": settings.timeout,
        "SSL_CERT_FILE": settings.certificate,
        "SSL_CLIENT_CERT": settings.client_certificate,
        "ALL_PROXY": settings.proxy,
        "MACOSX_DEPLOYMENT_TARGET": ".".join(map(str, wheel_tags.MACOS)),
    }
    return {name: value for name, value in translated.items() if value} | dict(environment)


def pages_of(requirements: str, find_links: Mapping[str, str]) -> tuple[str, ...]:
    """Return the pages of those projects that requirements name, at the beginning of a line."""
    named = {canonicalize_name(name) for name in _NAME.findall(requirements)}
    return tuple(page for name, page in find_links.items() if canonicalize_name(name) in named)


def with_pages(environment: Mapping[str, str], pages: Iterable[str]) -> dict[str, str]:
    """Return uv's environment with pages of wheels in it, beside those that are."""
    places = (environment.get("UV_FIND_LINKS", ""), *pages)
    return {**environment, "UV_FIND_LINKS": ",".join(filter(None, places))}
