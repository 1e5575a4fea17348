"""A broker as systemd/fleet says, with ports and paths of the test's own, and devices that are not there."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "systemd" / "fleet"
PASSWORDS = {"fleet-page": "looks-only", "telegraf": "counts-only", "operator": "may-do"}
TICKS = os.sysconf("SC_CLK_TCK")


def program(name):
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    assert found, f"{name} is missing: make setup-fleet"
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def certificates(folder, devices):
    """An authority, the broker's certificate and one for each device, as files."""

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority")
    for name in ["broker", *devices]:
        subject = "localhost" if name == "broker" else name
        openssl("req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={subject}")
        pathlib.Path(folder, "names").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n", encoding="utf-8")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", f"{name}.pem", "-days", "2", "-extfile", "names")


class Broker:
    """Mosquitto with the shipped configuration. One more listener, for the simulator, takes everybody."""

    def __init__(self, folder, devices=(), queue=None):
        self.folder = pathlib.Path(folder)
        self.tls, self.web, self.service, self.open = (free_port() for _ in range(4))
        certificates(folder, devices)
        secrets = self.folder / "passwords"
        secrets.touch(mode=0o600)
        for user, password in PASSWORDS.items():
            subprocess.run([program("mosquitto_passwd"), "-b", str(secrets), user, password], check=True, capture_output=True)
        shutil.copy(SHIPPED / "mosquitto.acl", self.folder / "acl")
        text = (SHIPPED / "mosquitto.conf").read_text(encoding="utf-8")
        text = text.replace("/etc/mosquitto/picket/", f"{folder}/").replace("/usr/share/picket/fleet", str(SHIPPED))
        for shipped, ours in (("8883", f"{self.tls} 127.0.0.1"), ("9001", f"{self.web} 127.0.0.1"), ("1883 127.0.0.1", f"{self.service} 127.0.0.1")):
            text, count = re.subn(rf"^listener {re.escape(shipped)}$", f"listener {ours}", text, flags=re.MULTILINE)
            assert count == 1, shipped
        text = text.replace("persistence true", "persistence false")
        if queue is not None:
            text = re.sub(r"^max_queued_messages .*$", f"max_queued_messages {queue}", text, flags=re.MULTILINE)
        text += f"\nlistener {self.open} 127.0.0.1\nallow_anonymous true\nmax_connections -1\nlog_dest file {folder}/broker.log\n"
        if os.geteuid() == 0:
            text += "user root\n"
        self.config = self.folder / "mosquitto.conf"
        self.config.write_text(text, encoding="utf-8")
        self.start()

    def start(self):
        self.process = subprocess.Popen([program("mosquitto"), "-c", str(self.config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for port in (self.open, self.web, self.tls):
            for _ in range(200):
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    assert self.process.poll() is None, (self.folder / "broker.log").read_text(encoding="utf-8")
                    time.sleep(0.05)
            else:
                raise TimeoutError("mosquitto does not listen")

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def use(self):
        """Processor seconds and resident MiB."""
        return use(self.process.pid)


def use(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    with open(f"/proc/{pid}/statm", encoding="utf-8") as file:
        pages = int(file.read().split()[1])
    return (int(fields[11]) + int(fields[12])) / TICKS, pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


class Fleet:
    """picket-fleet-sim in the background."""

    def __init__(self, simulator, broker, **options):
        flags = [item for name, value in options.items() for item in ([f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)]))]
        self.output = tempfile.TemporaryFile("w+", encoding="utf-8")
        self.process = subprocess.Popen([simulator, "--broker", f"127.0.0.1:{broker.open}", *flags], stdout=self.output, stderr=subprocess.DEVNULL)

    def result(self, seconds):
        """What it says at its end."""
        code = self.process.wait(seconds)
        self.output.seek(0)
        text = self.output.read()
        assert code == 0, f"the simulator ended with {code}: {text}"
        return json.loads(text)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
