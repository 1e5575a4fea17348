"""A Mosquitto on loopback, and all that was published on it."""
import json
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

from box import Failed

PORT = 1883
TOPICS = ("picket/#", "picket-img/#")


def program(name):
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if not found:
        raise Failed(f"{name} is missing: run 'make setup'")
    return found


class Broker:
    """Runs until `stop`. `port` takes anybody from this machine; `more` are lines for further listeners."""

    def __init__(self, folder, port=PORT, more=""):
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        conf = folder / "mosquitto.conf"
        self.port = port
        conf.write_text("user root\nper_listener_settings true\npersistence false\nmax_queued_messages 0\n"
                        f"listener {port} 127.0.0.1\nallow_anonymous true\n{more}")
        self.seen, self.lock = [], threading.Lock()
        self.log = open(folder / "mosquitto.log", "wb")
        self.kept = open(folder / "messages.log", "wb")
        self.broker = subprocess.Popen([program("mosquitto"), "-c", str(conf)], stdout=self.log, stderr=subprocess.STDOUT)
        until = time.monotonic() + 20
        while subprocess.run([program("mosquitto_pub"), "-p", str(port), "-t", "up", "-m", "x"], capture_output=True, check=False).returncode:
            if time.monotonic() > until:
                raise Failed("mosquitto does not start")
            time.sleep(0.2)
        words = [word for topic in TOPICS for word in ("-t", topic)]
        self.ear = subprocess.Popen([program("mosquitto_sub"), "-p", str(port), "-V", "5", "-q", "1", "-F", "%t %x", *words], stdout=subprocess.PIPE)
        self.reader = threading.Thread(target=self.listen, daemon=True)
        self.reader.start()

    def listen(self):
        for line in self.ear.stdout:
            self.kept.write(line)
            topic, _, packed = line.decode().rstrip("\n").partition(" ")
            with self.lock:
                self.seen.append((time.monotonic(), topic, bytes.fromhex(packed)))

    def halt(self):
        """Stands still from here to `go_on`: takes nothing, answers nothing, and its connections stay."""
        self.broker.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.broker.send_signal(signal.SIGCONT)

    def stop(self):
        self.go_on()
        for child in (self.ear, self.broker):
            child.terminate()
            child.wait()
        self.reader.join(5)
        self.log.close()
        self.kept.close()

    def mark(self):
        """A place in what was seen, for `since`."""
        with self.lock:
            return len(self.seen)

    def bodies(self, last_level, since=0):
        """The JSON bodies on topics that end so."""
        with self.lock:
            rows = self.seen[since:]
        return [json.loads(payload) for _, topic, payload in rows if topic.endswith(last_level) and topic.startswith("picket/") and payload]

    def device(self, since=0):
        """The id in the topics."""
        with self.lock:
            return next(topic.split("/")[2] for _, topic, _ in self.seen[since:] if topic.startswith("picket/1/pk-"))

    def retained(self):
        """Topics of Picket's on which the broker keeps something."""
        words = [word for topic in (*TOPICS, "homeassistant/#") for word in ("-t", topic)]
        done = subprocess.run([program("mosquitto_sub"), "-p", str(self.port), "--retained-only", "-W", "3", "-F", "%t", *words], capture_output=True, text=True, check=False)
        return sorted(set(done.stdout.split()))

    def pictures(self, since=0):
        with self.lock:
            return [payload for _, topic, payload in self.seen[since:] if topic.startswith("picket-img/") and payload]

    def wait(self, last_level, what, timeout_s, since=0, box=None):
        """The first body on such a topic for which `what` holds."""
        until = time.monotonic() + timeout_s
        looked = since
        while True:
            for body in self.bodies(last_level, looked):
                if what(body):
                    return body
            if box is not None and not box.is_on():
                raise Failed(f"the box went off while {last_level} was waited for")
            if time.monotonic() > until:
                last = self.bodies(last_level, since)[-2:]
                raise Failed(f"nothing on {last_level} in {timeout_s} s that fits; the last were {json.dumps(last)[:600]}")
            time.sleep(0.3)

    def command(self, device, name, ident, args):
        body = json.dumps({"id": ident, "args": args})
        subprocess.run([program("mosquitto_pub"), "-p", str(self.port), "-V", "5", "-q", "1", "-t", f"picket/1/{device}/cmd/{name}", "-m", body], check=True)
