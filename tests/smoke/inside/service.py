"""Runs inside the container: ask the service on loopback how it is, and for embeddings.

Its arguments: a text, texts that are refused (JSON, by id), and an image's file in base64.
"""

import base64
import json
import os
import sys
import urllib.error
import urllib.request
from typing import Any

JSON, PNG = "application/json", "image/png"


def main() -> None:
    text, refused, image = sys.argv[1:]
    broken = base64.b64encode(b"no image").decode()
    health = answer("/health")
    tell("health", health)
    tell("credits", answer("/credits"))
    tell("embed", answer("/embed", json.dumps({"text": text}).encode()))
    model = health["body"]["model"] if health["status"] == 200 else None
    asked = {"model": model, "input": [text]}
    tell("openai", answer("/v1/embeddings", json.dumps(asked).encode()))
    hint = {"supports_local": False, "supports_quantized": False, "preferred_precision": "float32"}
    generate = json.dumps({"text": text, "client_hint": hint}).encode()
    tell("generate", answer("/embedding/generate", generate))
    tell("config", answer("/embedding/config"))
    tell("admin", answer("/admin/embedding/config/reload", b"{}"))
    for identifier, each in json.loads(refused).items():
        tell(f"refused {identifier}", answer("/embed", json.dumps({"text": each}).encode()))
    tell("image", answer("/embed", json.dumps({"image": image}).encode()))
    tell("image file", answer("/embed", base64.b64decode(image), PNG))
    tell("no image", answer("/embed", json.dumps({"image": broken}).encode()))
    tell("no image file", answer("/embed", base64.b64decode(broken), PNG))


def tell(step: str, found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"step": step, **found}) + "\n")


def answer(path: str, body: bytes | None = None, content_type: str = JSON) -> dict[str, Any]:
    port = os.environ.get("EMBEDDING_SERVER_PORT", "8080")
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data=body, headers={"Content-Type": content_type}
    )
    try:
        with urllib.request.urlopen(request) as response:
            space = response.headers["Equivec-Vector-Space"]
            return {"status": response.status, "body": json.load(response), "space": space}
    except urllib.error.HTTPError as error:
        return {"status": error.code, "body": error.read().decode(errors="replace")}
    except OSError as error:
        return {"status": None, "body": str(error)}


main()
