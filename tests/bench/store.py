#!/usr/bin/env python3
"""A small object store over HTTP, as stages of a serverless pipeline use one: PUT and GET of files below a folder.

  store.py FOLDER      prints its port; ends when standard input closes
Each object is hashed with SHA-256 on both ways, as signed requests of S3 ask for. No TLS, no authentication.
"""
import hashlib
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(sys.argv[1])


class Store(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # A header and a body in two segments would wait for each other (Nagle, delayed acknowledgements).
    disable_nagle_algorithm = True

    def place(self):
        return FOLDER / self.path.strip("/").replace("/", "_")

    def answer(self, code, body=b"", digest=""):
        self.send_response_only(code)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-SHA256", digest)
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        digest = hashlib.sha256(body).hexdigest()
        if digest != self.headers["X-SHA256"]:
            return self.answer(400)
        self.place().write_bytes(body)
        self.answer(200)

    def do_GET(self):
        if not self.place().is_file():
            return self.answer(404)
        body = self.place().read_bytes()
        self.answer(200, body, hashlib.sha256(body).hexdigest())

    def do_DELETE(self):
        self.place().unlink(missing_ok=True)
        self.answer(200)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Store)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    server.shutdown()
