"""The locks of the peers: `python -m builders.bench.serve.peer_locks` chooses them anew."""

from __future__ import annotations

import sys

from builders import project
from builders.bench.serve import subjects
from builders.lock import wheel_renewal
from builders.network import indexes

PLATFORMS = ("linux/amd64", "linux/arm64")


def main() -> None:
    """Write each lock that is due, and say which."""
    checkout = project.load()
    configured = indexes.configured(checkout.store.cache, find_links=checkout.matrix.find_links)
    for peer in (subjects.INFINITY, subjects.LLAMA_CPP_SERVER):
        for renewal in wheel_renewal.renewals(
            *(subjects.PEERS / peer, PLATFORMS, checkout.store, configured),
            progress=lambda _done, _total: None,
        ):
            if renewal.is_due:
                renewal.write()
                sys.stdout.write(f"{renewal.path}\n")


if __name__ == "__main__":
    main()
