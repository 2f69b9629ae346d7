"""Runs inside a test's container in place of the service, and does what its argument says.

`{}` behaves well. `health`, `embedding`, `openai`, `generate`, `config` and `space` replace
answers, or what they say, and `components` are more of them in the credits; with `admin` it reloads
for everybody;
`loading` never gets ready, `silent` takes connections and says nothing, `embed` is "hang" or "die",
`deaf` ignores SIGTERM, with `images` it embeds them, and with `asks` it answers nothing without the
API that it is told of.
"""

import json
import os
import signal
import sys
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

plan: dict[str, Any] = json.loads(sys.argv[1])


class Service(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if plan.get("silent"):
            time.sleep(600)
        if plan.get("asks"):
            with urllib.request.urlopen(os.environ["EMBEDDING_OPENAI_BASE_URL"]) as upstream:
                upstream.read()
        if self.path == "/credits":
            licensed = {"version": "1.0", "licences": [], "texts": ["copyright"]}
            wheel, package = ({"name": "small", "kind": "python"}, {"name": "c", "kind": "debian"})
            found = [wheel | licensed, package | licensed]
            components = found + plan.get("components", [])
            self.answer({"model": {"name": plan["health"]["model"]}, "components": components})
            return
        if self.path == "/embedding/config":
            self.answer({"config_id": plan.get("config", "1")})
            return
        self.answer({**plan["health"], "embedding_model_loaded": not plan.get("loading")})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if plan.get("embed") == "hang":
            time.sleep(600)
        if plan.get("embed") == "die":
            sys.stderr.write("illegal instruction, says the service\n")
            os._exit(132)
        health = plan["health"]
        vector = {"embedding": plan["embedding"], "dimension": health["dimension"]}
        if code := self.refusal(body):
            self.answer({"error": {"code": code}}, status=422)
        elif self.path.startswith("/admin/"):
            self.answer({}, status=200 if "admin" in plan else 404)
        elif self.path == "/embedding/generate":
            names = {"model": health["model"], "dimensions": health["dimension"]}
            embedding = plan.get("generate", plan["embedding"])
            self.answer({"embedding": embedding, "metadata": {**names, "server_config_id": "1"}})
        elif self.path == "/v1/embeddings":
            self.answer({"data": [{"embedding": plan.get("openai", plan["embedding"])}]})
        else:
            self.answer({**vector, "model": health["model"]})

    def refusal(self, body: bytes) -> str | None:
        """Return why a request is refused; `images` is "any" to embed what is no image either."""
        image = self.headers["Content-Type"].startswith("image/") or b'{"image": ' in body
        if not image or plan.get("images") == "any":
            return None
        if "images" not in plan:
            return "input_not_supported"
        return None if b"PNG" in body or b"iVBOR" in body else "image_refused"

    def answer(self, document: dict[str, Any], *, status: int = 200) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Equivec-Vector-Space", plan.get("space", plan["health"]["vector_space"]))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (the base's name)
        """Say nothing."""


def end(*_: object) -> None:
    if not plan.get("deaf"):
        os._exit(0)


signal.signal(signal.SIGTERM, end)
sys.stderr.write("the service has started\n")
sys.stderr.flush()
port = int(os.environ.get("EMBEDDING_SERVER_PORT", "8080"))
HTTPServer(("127.0.0.1", port), Service).serve_forever()
