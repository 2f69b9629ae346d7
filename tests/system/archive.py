"""A small, real archive of Debian packages: made by dpkg-deb, signed by gpg, served on loopback."""

from __future__ import annotations

import hashlib
import http.server
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from builders.files import sha256_of
from builders.lock.debian import SUITE
from builders.network.apt import DebianPackage
from builders.process import run

ARCHITECTURE = "amd64"
SECONDS = 60.0


class Key:
    """A key of gpg's own making, in a directory of its own."""

    def __init__(self, home: Path) -> None:
        home.mkdir(mode=0o700)
        self._gpg = ("gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", "")
        self._home = home
        self.keyring = home / "archive-keyring.gpg"
        self._run("--quick-generate-key", "archive@example.org", "ed25519", "sign", "never")
        self._run("--output", self.keyring, "--export")

    def sign(self, release: Path) -> None:
        """Write the InRelease file beside a Release file."""
        signed = release.with_name("InRelease")
        signed.unlink(missing_ok=True)
        self._run("--digest-algo", "SHA512", "--output", signed, "--clear-sign", release)

    def close(self) -> None:
        """End the agent that gpg started."""
        run(["gpgconf", "--homedir", self._home, "--kill", "all"], timeout=SECONDS)

    def _run(self, *words: str | Path) -> None:
        run([*self._gpg, *words], timeout=SECONDS)


@dataclass(frozen=True, kw_only=True)
class Source:
    """A package to be made.

    Attributes:
        source: The source package, which has a directory of the pool.
        files: The text of each file by its path.
    """

    name: str
    version: str
    source: str
    files: Mapping[str, str]


class Archive:
    """A mirror's directory: what is in its pool is served, and in the index after `publish`."""

    def __init__(self, directory: Path, scratch: Path) -> None:
        self.directory = directory
        self._scratch = scratch
        self._control: dict[DebianPackage, str] = {}

    def add(self, made: Source) -> DebianPackage:
        """Make a package and put it into the pool."""
        tree = self._scratch / made.name
        control = (
            f"Package: {made.name}\nVersion: {made.version}\nArchitecture: {ARCHITECTURE}\n"
            f"Source: {made.source}\nMaintainer: nobody <nobody@example.org>\nDescription: test\n"
        )
        for path, text in {**made.files, "DEBIAN/control": control}.items():
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text)
        file = f"{made.name}_{made.version}_{ARCHITECTURE}.deb"
        path = f"pool/main/{made.source[0]}/{made.source}/{file}"
        place = self.directory / path
        place.parent.mkdir(parents=True, exist_ok=True)
        run(["dpkg-deb", "--root-owner-group", "--build", tree, place], timeout=SECONDS)
        shutil.rmtree(tree)
        package = DebianPackage(
            name=made.name,
            version=made.version,
            architecture=ARCHITECTURE,
            archive="main",
            path=path,
            sha256=sha256_of(place),
            size=place.stat().st_size,
        )
        self._control[package] = control
        return package

    def remove(self, package: DebianPackage) -> None:
        """Take a package out, as Debian does with superseded ones."""
        (self.directory / package.path).unlink()
        del self._control[package]

    def publish(self, key: Key) -> None:
        """Write and sign the index of what is there now."""
        stanzas = [
            f"{control}Filename: {package.path}\nSize: {package.size}\nSHA256: {package.sha256}\n"
            for package, control in self._control.items()
        ]
        self._publish(SUITE, "\n".join(stanzas), key)
        self._publish(f"{SUITE}-updates", "", key)

    def index(self) -> Path:
        """Return the file that lists the packages."""
        return self._index(SUITE)

    def _index(self, suite: str) -> Path:
        return self.directory / "dists" / suite / "main" / f"binary-{ARCHITECTURE}" / "Packages"

    def _publish(self, suite: str, text: str, key: Key) -> None:
        index = self._index(suite)
        index.parent.mkdir(parents=True, exist_ok=True)
        index.write_text(text)
        release = self.directory / "dists" / suite / "Release"
        content = text.encode()
        release.write_text(
            f"Origin: Test\nSuite: {suite}\nCodename: {suite}\nArchitectures: {ARCHITECTURE}\n"
            f"Components: main\nDate: {datetime.now(UTC):%a, %d %b %Y %H:%M:%S} UTC\nSHA256:\n"
            f" {hashlib.sha256(content).hexdigest()} {len(content)}"
            f" {index.relative_to(release.parent)}\n"
        )
        key.sign(release)


@contextmanager
def served(directory: Path) -> Iterator[str]:
    """Serve a directory on loopback; yield its URL."""
    handler = partial(_Quiet, directory=str(directory))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass
