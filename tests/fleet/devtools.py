"""Chromium without a window, driven over the DevTools protocol. Only Python's own library."""

import base64
import hashlib
import json
import os
import pathlib
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import urllib.request


class WebSocket:
    """RFC 6455, the client's half, text frames."""

    def __init__(self, url):
        host, path = url.removeprefix("ws://").split("/", 1)
        name, port = host.split(":")
        self.socket = socket.create_connection((name, int(port)), timeout=30)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self.rest = b""
        while b"\r\n\r\n" not in self.rest:
            self.rest += self.socket.recv(4096)
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        proof = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        assert proof in head, head

    def send(self, text):
        data = text.encode()
        length = len(data)
        if length < 126:
            head = struct.pack("!BB", 0x81, 0x80 | length)
        elif length < 65536:
            head = struct.pack("!BBH", 0x81, 0x80 | 126, length)
        else:
            head = struct.pack("!BBQ", 0x81, 0x80 | 127, length)
        # The mask is all zeros: it guards proxies, and there is none.
        self.socket.sendall(head + bytes(4) + data)

    def exactly(self, count):
        while len(self.rest) < count:
            more = self.socket.recv(1 << 16)
            if not more:
                raise EOFError("Chromium hung up")
            self.rest += more
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def receive(self):
        message = b""
        while True:
            first, length = self.exactly(2)
            length &= 0x7F
            if length == 126:
                [length] = struct.unpack("!H", self.exactly(2))
            elif length == 127:
                [length] = struct.unpack("!Q", self.exactly(8))
            data = self.exactly(length)
            if first & 0x0F <= 2:
                message += data
                if first & 0x80:
                    return message.decode()

    def readable(self, seconds):
        return bool(self.rest) or bool(select.select([self.socket], [], [], seconds)[0])


class Chromium:
    """One browser with one page. What the page logged and asked for is in `logged` and `requests`."""

    def __init__(self, width=1440, height=900):
        self.folder = tempfile.mkdtemp(prefix="picket-chromium-")
        program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        assert program, "Chromium is missing: make setup-fleet"
        flags = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0",
            f"--user-data-dir={self.folder}", f"--window-size={width},{height}", "about:blank",
        ]
        self.process = subprocess.Popen([program, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.count, self.logged, self.requests = 0, [], []
        self.page = WebSocket(self.page_address())
        for domain in ("Page", "Runtime", "Log", "Network", "Performance"):
            self.call(f"{domain}.enable")
        self.size(width, height)

    def page_address(self):
        port_file = pathlib.Path(self.folder, "DevToolsActivePort")
        for _ in range(300):
            if port_file.exists() and port_file.read_text().strip():
                port = port_file.read_text().split()[0]
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=10) as answer:
                    pages = [page for page in json.load(answer) if page["type"] == "page"]
                if pages:
                    return pages[0]["webSocketDebuggerUrl"]
            time.sleep(0.1)
        raise TimeoutError("Chromium does not start")

    def heard(self, message):
        method, what = message.get("method"), message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])
        elif method == "Network.webSocketCreated":
            self.requests.append(what["url"])
        elif method == "Log.entryAdded":
            self.logged.append(what["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            details = what["exceptionDetails"]
            self.logged.append(details.get("exception", {}).get("description") or details["text"])

    def call(self, method, **parameters):
        self.count += 1
        self.page.send(json.dumps({"id": self.count, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.page.receive())
            if message.get("id") == self.count:
                assert "error" not in message, (method, message["error"])
                return message["result"]
            self.heard(message)

    def listen(self, seconds):
        """Takes in what the page says of itself."""
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            if self.page.readable(left):
                self.heard(json.loads(self.page.receive()))

    def size(self, width, height, scale=1, phone=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=phone)

    def go(self, url):
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def run(self, script):
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, replMode=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, script, seconds=20.0):
        """Until the expression is true; hands out the seconds that it took."""
        began = time.monotonic()
        while not self.run(f"Boolean({script})"):
            if time.monotonic() - began > seconds:
                raise TimeoutError(f"not within {seconds} s: {script}\n{self.run('JSON.stringify(window.picket && picket())')}\n{self.logged}")
            self.listen(0.1)
        return time.monotonic() - began

    def shot(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))

    def metrics(self):
        return {one["name"]: one["value"] for one in self.call("Performance.getMetrics")["metrics"]}

    def close(self):
        try:
            self.call("Browser.close")
        except (EOFError, OSError):
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
