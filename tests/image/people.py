"""What people do to a box: network settings, the boot menu, claiming it, certificates, taking it out of service."""
import os
import time

import broker as brokers
from box import Failed
from scenarios import NEWS_S, QUIET, START_S, mistakes_on_card, must, online
from trials import authority, server_pair, sign

TLS_PORT, CLAIM_PORT = 8883, 1884
STATIC = "[Match]\nName=e*\n\n[Network]\nAddress=10.0.2.77/24\nGateway=10.0.2.2\n"
DOWN, ENTER, ESCAPE = b"\x1b[B", b"\r", b"\x1b\x1b"


def network(bench):
    """An address of the card's *.network (a wrong file is told first), and the factory reset of the boot menu."""
    box = bench.box("network")
    box.card_put("picket.toml", QUIET)
    box.card_put("10-lan.network", STATIC.replace("[Network]", "[Netwrok]"))
    box.on()
    told = mistakes_on_card(box)
    must("10-lan.network" in told, f"the mistake is not on the card: {told!r}")
    box.card_put("10-lan.network", STATIC)
    since = bench.broker.mark()
    box.on()
    first = online(bench, box, since)
    device = bench.device(since)
    box.wait_shell(START_S)
    addresses = box.must("ip -4 -o addr show | grep -v ' lo '")
    must("10.0.2.77/24" in addresses and addresses.count("inet ") == 1, addresses)
    box.must("echo left >/data/left && echo left >/var/lib/picket/left && sync")
    box.cut()
    since = bench.broker.mark()
    box.on()
    menu(box)
    box.wait_line("factory reset: everything on the data partition goes", 120)
    again = online(bench, box, since)
    box.wait_shell(START_S)
    left = box.must("ls /data /var/lib/picket")
    must("left" not in left.split(), f"the factory reset of the menu left {left!r}")
    must(bench.device(since) == device and again["boot"] != first["boot"], "the box is another one after the reset")
    size = int(box.must("df -m /data | tail -n 1").split()[1])
    must(size > 200, f"the data partition has {size} MiB after the reset")
    box.cut()
    return ["a wrong *.network comes back on the card: " + " ".join(told.split())[-120:], "the static address is the only one, and the broker was reached with it",
            f"factory reset by the boot menu: data partition of {size} MiB made anew, settings taken from the card again, the same device {device}"]


def menu(box):
    """Chooses the second entry."""
    box.wait_line("picket: slot", 120)
    until = time.monotonic() + 60
    while not box.has_drawn("*picket"):
        if time.monotonic() > until:
            raise Failed("Escape did not bring up the boot menu")
        box.keys(ESCAPE)
        time.sleep(0.2)
    time.sleep(3)
    box.keys(DOWN)
    time.sleep(3)
    box.keys(ENTER)


class Site:
    """An authority, and a broker that checks certificates or passwords; its messages are heard through a listener for this machine."""

    def __init__(self, bench, name):
        self.folder = bench.out / name / "site"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.authority = authority(self.folder, "site")
        self.server = server_pair(self.folder, "broker", self.authority)
        self.broker, self.number = None, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def listen(self, *more):
        """A new broker in place of the one before, which forgets all."""
        self.stop()
        self.number += 1
        lines = [f"listener {TLS_PORT} 127.0.0.1", f"cafile {self.authority[0]}", f"certfile {self.server[0]}", f"keyfile {self.server[1]}", *more]
        self.broker = brokers.Broker(self.folder / f"broker-{self.number}", CLAIM_PORT, "\n".join(lines) + "\n")
        return self.broker

    def by_certificate(self):
        return self.listen("allow_anonymous false", "require_certificate true", "use_identity_as_username true")

    def by_password(self, user, password):
        passwords = self.folder / "passwords"
        brokers.subprocess.run([brokers.program("mosquitto_passwd"), "-b", "-c", passwords, user, password], check=True, capture_output=True)
        os.chmod(passwords, 0o600)
        return self.listen("allow_anonymous false", f"password_file {passwords}")

    def stop(self):
        if self.broker:
            self.broker.stop()
            self.broker = None

    def certificate(self, name, request):
        """For a request in PEM."""
        file = self.folder / f"{name}.csr"
        file.write_text(request)
        return sign(self.folder, name, file, self.authority)


def settings(*lines):
    """Over TLS, with further lines for the broker."""
    head, rest = QUIET.split('url = "mqtt://10.0.2.2:1883"\n')
    return f'{head}url = "mqtts://10.0.2.2:{TLS_PORT}"\n' + "".join(f"{line}\n" for line in lines) + rest


def claim(bench):
    """A one-time password on the card; the authority signs the key that the box makes; from then on the certificate counts. `restart` and `reboot`."""
    with Site(bench, "claim") as site:
        return claimed(bench, site)


def claimed(bench, site):
    box = bench.box("claim")
    text = settings('ca = "/etc/picket/tls/ca.pem"', 'user = "newcomer"', 'password_file = "/etc/picket/tls/password"')
    box.card_put("picket.toml", text.replace("[device]\n", "[device]\nallow_reboot = true\n"))
    box.card_put("tls/ca.pem", site.authority[0].read_bytes())
    box.card_put("tls/password", "once-only")
    broker = site.by_password("newcomer", "once-only")
    box.on()
    first = online(bench, box, 0, broker=broker)
    device = broker.device()
    broker.command(device, "rotate-cert", "csr", {})
    reply = broker.wait("/reply/csr", lambda body: body["status"] in ("done", "failed"), NEWS_S, 0, box)
    must(reply["status"] == "done", f"{reply}")
    cert = site.certificate(device, reply["result"]["csr"])
    broker.command(device, "rotate-cert", "cert", {"cert": cert.read_text()})
    reply = broker.wait("/reply/cert", lambda body: body["status"] in ("done", "failed"), NEWS_S, 0, box)
    must(reply["status"] == "done", f"{reply}")
    said = [f"{device} was claimed with a password: {reply['text']}"]
    broker = site.by_certificate()
    online(bench, box, 0, broker=broker)
    said.append("the password counts no more; the box came back with its certificate")
    at = broker.mark()
    broker.command(device, "restart", "again", {})
    reply = broker.wait("/reply/again", lambda body: body["status"] in ("done", "failed"), NEWS_S, at, box)
    same = online(bench, box, at, broker=broker)
    must(reply["status"] == "done" and same["boot"] == first["boot"], f"restart: {reply}, {same}")
    said.append(f"restart: {reply['text']}, in the same start of the box")
    box.wait_shell(START_S)
    at = broker.mark()
    broker.command(device, "reboot", "anew", {})
    other = online(bench, box, at, first["boot"], broker)
    reply = broker.wait("/reply/anew", lambda body: body["status"] in ("done", "failed"), NEWS_S, at, box)
    must(reply["status"] == "done", f"reboot: {reply}")
    said.append(f"reboot: {reply['text']}, online {other['mono_ms'] / 1000:.2f} s after the kernel began")
    box.wait_shell(START_S)
    keys = box.must("ls -lR /var/lib/picket/tls | grep key.pem")
    must(all("-rw-------" in line for line in keys.splitlines()), keys)
    box.must("sync")
    box.cut()
    must(box.card_get("tls/password") is None, "the password is still on the card")
    return said


def provision(bench):
    """The same without a network: the request comes on the card, the certificate goes back on it. Then `decommission`: broker and box forget."""
    with Site(bench, "provision") as site:
        return provisioned(bench, site)


def provisioned(bench, site):
    box = bench.box("provision")
    box.card_put("picket.toml", settings())
    box.card_put("provision", "")
    broker = site.by_certificate()
    box.on()
    box.wait_shell(START_S)
    box.must("sync")
    device = box.must("picket provision status | sed -n 's/^device *//p'").strip()
    must(not broker.bodies("/status"), "a box without a certificate got in")
    box.cut()
    request = box.card_get(f"{device}.csr") or ""
    must("BEGIN CERTIFICATE REQUEST" in request, f"no request on the card: {request!r}; {box.card_get('provision-errors.txt')!r}")
    must(box.card_get("provision") is None, "the flag is still there")
    cert = site.certificate(device, request)
    box.card_put("pk-000000000000.pem", cert.read_bytes())
    box.on()
    box.wait_shell(START_S)
    box.cut()
    told = box.card_get("provision-errors.txt") or ""
    must(device in told, f"another box's certificate: {told!r}")
    box.card_put(f"{device}.pem", cert.read_bytes())
    box.card_put(f"{device}.ca.pem", site.authority[0].read_bytes())
    box.on()
    online(bench, box, 0, broker=broker)
    broker.wait("/info", lambda body: body, NEWS_S, 0, box)
    box.wait_shell(START_S)
    box.must("sync")
    box.cut()
    must(box.card_get(f"{device}.pem") is None and box.card_get("provision-errors.txt") is None, f"still on the card: {box.card_get('provision-errors.txt')!r}")
    kept = broker.retained()
    must(any(device in topic for topic in kept), f"the broker keeps {kept}")
    box.card_put("decommission", "")
    box.on()
    box.wait_shell(START_S)
    until = time.monotonic() + NEWS_S
    while "inactive" not in box.shell("systemctl is-active picket-decommission.service")[1]:
        must(time.monotonic() < until, "the box is not taken out of service")
        time.sleep(2)
    box.shell("until systemctl -q is-active picket.service; do sleep 1; done", NEWS_S)
    left = box.shell("ls -A /data/etc/picket /data/var/lib/picket/tls; grep /boot/picket /proc/mounts; systemctl is-active picket.service")[1]
    after = broker.retained()
    must(not after, f"the broker still keeps {after}; {left}")
    must("picket.toml" not in left and "current" not in left and "/boot/picket vfat" not in left and "active" in left.split(), f"left on the box: {left}")
    box.must("sync")
    box.cut()
    told = box.card_get("decommissioned.txt") or ""
    must(device in told and box.card_get("picket.toml") is None and box.card_get("decommission") is None, f"the card after it: {told!r}")
    return [f"{device}: request and certificate by the card, the key never left the box; another box's certificate was refused",
            f"decommission: {len(kept)} retained topics are empty now; on the card: {' '.join(told.split())}"]
