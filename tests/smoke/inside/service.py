"""Runs inside the container: ask the service on loopback for its health and for one embedding."""

import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any


def main() -> None:
    body = json.dumps({"text": sys.argv[1]}).encode()
    refused = [
        (f"refused {identifier}", "/embed", json.dumps({"text": text}).encode())
        for identifier, text in json.loads(sys.argv[2]).items()
    ]
    for step, path, sent in (("health", "/health", None), ("embed", "/embed", body), *refused):
        sys.stdout.write(json.dumps({"step": step, **answer(path, sent)}) + "\n")


def answer(path: str, body: bytes | None) -> dict[str, Any]:
    port = os.environ.get("EMBEDDING_SERVER_PORT", "8080")
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data=body, headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request) as response:
            return {"status": response.status, "body": json.load(response)}
    except urllib.error.HTTPError as error:
        return {"status": error.code, "body": error.read().decode(errors="replace")}
    except OSError as error:
        return {"status": None, "body": str(error)}


main()
