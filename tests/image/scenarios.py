"""What the appliance is put through. Each takes a `Bench` and returns lines for the report; it raises box.Failed where the box fails."""
import functools
import http.server
import json
import random
import re
import ssl
import threading
import time

import spool
from box import Failed, PHYSICAL, offset_of
from variants import crashing

SOURCE = "hdmi-1"
SETTINGS = f"""[device]
site = "lab"

[broker]
url = "mqtt://10.0.2.2:1883"
keep_alive = "300s"

[[source]]
id = "{SOURCE}"
input = "v4l2:/dev/video0"

# The capture driver's picture is a test pattern.
[source.detect.colour_bars]
enabled = false
"""
# Where pictures do not matter: a source on which nothing comes, so that the emulated processor is not busy with them.
QUIET = SETTINGS.replace("v4l2:/dev/video0", "udp://127.0.0.1:5000")
# Where there must be pictures, but not many.
THRIFTY = f'[budget]\ncpu = "5%"\n\n{SETTINGS}'
# board/README.md states these.
ONLINE_S, MEMORY_MIB, EXPOSURE = 10.0, 128, 2.0
# Wall-clock limits: an emulated start takes a minute of processor time, and the machine may be busy.
START_S, NEWS_S, UPDATE_S = 600, 400, 1500


def online(bench, box, since, not_boot=None, broker=None):
    """The birth of the next connection; of another start of the box than `not_boot`, where that is given."""
    return (broker or bench.broker).wait("/status", lambda body: body["state"] == "online" and body["boot"] != not_boot, START_S, since, box)


def must(condition, text):
    if not condition:
        raise Failed(text)


def vivid(box, control, folder="/run"):
    """Sets a control of the capture driver, by the test's own program (vivid.c)."""
    box.must(f"{folder}/vivid {control}")


def prepare(bench, name, box=None, settings=SETTINGS):
    """A freshly flashed box with settings on its card, and its start."""
    box = box or bench.box(name)
    box.card_put("picket.toml", settings)
    since = bench.broker.mark()
    box.on()
    return box, online(bench, box, since), since


def mistakes_on_card(box):
    """What a box that is starting writes back; it is off then."""
    box.wait_shell(START_S)
    box.must("sync")
    box.cut()
    return box.card_get("picket-errors.txt") or ""


def wait_good(bench, box, since):
    """Until slot A, from which a flashed box starts, is confirmed; the body of `firmware`."""
    return bench.broker.wait("/firmware", lambda body: body.get("slots", {}).get("A", {}).get("good"), NEWS_S, since, box)


def start(bench):
    """From a flashed medium to alerts: settings from the card, budgets, exposure, freeze and lost signal, a picture to look at."""
    box, first, since = prepare(bench, "start")
    said = [f"first start: online {first['mono_ms'] / 1000:.2f} s after the kernel began (makes its identity, takes its settings)"]
    device = bench.device(since)
    box.wait_shell()
    bench.broker.wait(f"/src/{SOURCE}/state", lambda body: body["verdict"] != "lost", NEWS_S, since, box)
    bench.fetch(box, "vivid")
    said += faults(bench, box)
    said += budgets(box)
    # As a second start is every start but the first.
    box.must("sync")
    since = bench.broker.mark()
    box.type("systemctl reboot")
    again = online(bench, box, since, first["boot"])
    seconds = again["mono_ms"] / 1000
    said.append(f"second start: online {seconds:.2f} s after the kernel began (limit {ONLINE_S})")
    must(bench.device(since) == device, "the box has another identity after a restart")
    box.wait_shell()
    said += figures(box)
    must(seconds <= ONLINE_S, "\n    ".join(said))
    box.cut()
    must(box.card_get("picket-errors.txt") is None, f"good settings got {box.card_get('picket-errors.txt')!r}")
    said.append(f"{box.cpu_s:.0f} s of processor time in all")
    return said


def faults(bench, box):
    said = []
    for words, defect, undo in (("freeze", "freeze", "move"), ("no_signal", "stream_loss", "signal")):
        since = bench.broker.mark()
        vivid(box, words)
        raised = bench.broker.wait("/event", lambda body: body["defect"] == defect and body["state"] == "raised", NEWS_S, since, box)
        vivid(box, undo)
        bench.broker.wait("/event", lambda body: body["defect"] == defect and body["state"] == "cleared", NEWS_S, since, box)
        said.append(f"{words}: {raised['severity']} {defect} \"{raised['text']}\", and cleared")
    pictures = bench.broker.pictures()
    must(pictures, "no picture came with the alerts")
    for number, picture in enumerate(pictures):
        (bench.out / f"evidence-{number}.jpg").write_bytes(picture)
    said.append(f"{len(pictures)} pictures in {bench.out}")
    return said


def budgets(box):
    total, available = (int(re.search(rf"^{name}:\s+(\d+)", box.must("cat /proc/meminfo"), re.M)[1]) / 1024 for name in ("MemTotal", "MemAvailable"))
    used = total - available
    must(used <= MEMORY_MIB, f"the box uses {used:.0f} MiB, and {MEMORY_MIB} are its limit")
    out = box.must("systemd-analyze security --no-pager picket.service | tail -n 1")
    exposure = float(re.search(r"([\d.]+) [A-Z]", out)[1])
    must(exposure <= EXPOSURE, out)
    failed = box.must("systemctl --failed --no-legend --plain --no-pager; true")
    must(not failed.strip(), f"units failed: {failed}")
    size = int(box.must("df -m /data | tail -n 1").split()[1])
    must(size > 200, f"the data partition has {size} MiB: it did not grow")
    return [f"memory of the whole box, one source watched: {used:.0f} MiB (limit {MEMORY_MIB})", f"exposure of picket.service {exposure} (limit {EXPOSURE})",
            f"no unit failed; the data partition grew to {size} MiB"]


def figures(box):
    box.shell("systemctl is-system-running --wait", START_S)
    out = box.must("systemd-analyze --no-pager | head -n 1; systemd-analyze blame --no-pager | head -n 8")
    lines = out.splitlines()
    return [lines[0].strip(), "slowest units: " + ", ".join(" ".join(line.split()) for line in lines[1:9])]


def card(bench):
    """Wrong settings are written back on the card, and the box runs without them; right ones are taken then. Keys go from the card."""
    box = bench.box("card")
    box.card_put("picket.toml", QUIET.replace("url =", "urll ="))
    box.on()
    told = mistakes_on_card(box)
    must("urll" in told and "url" in told, f"the mistake is not on the card: {told!r}")
    box.card_put("picket.toml", QUIET)
    box.card_put("tls/password", "secret")
    since = bench.broker.mark()
    box.on()
    online(bench, box, since)
    box.wait_shell()
    must(box.must("cat /etc/picket/tls/password") == "secret", "the password did not come over")
    must(re.search(r"-rw-r-----.*root +picket", box.must("ls -l /etc/picket/tls/password")), "others can read the password")
    box.must("sync")
    box.cut()
    must(box.card_get("picket-errors.txt") is None and box.card_get("tls/password") is None, "the card still has the complaint or the password")
    box.card_put("factory-reset", "")
    box.on()
    box.wait_shell(START_S)
    left = box.must("ls /data/etc/picket/tls; ls /data/var/lib/picket/ | wc -l; cat /data/etc/picket/picket.toml | wc -l")
    must("password" not in left, f"factory reset left {left!r}")
    box.cut()
    must(box.card_get("factory-reset") is None, "the flag for the factory reset is still there")
    return ["mistakes come back on the card: " + " ".join(told.split())[:160], "settings and a password were taken, the password is gone from the card",
            "factory reset erased them, the settings on the card were taken anew"]


def wait_update(bench, box, ident, since, limit=UPDATE_S):
    return bench.broker.wait(f"/reply/{ident}", lambda body: body["status"] in ("done", "failed", "expired"), limit, since, box)


def update(bench):
    """Bad bundles are refused, a good one is installed and confirmed, one whose daemon crashes is rolled back; events survive."""
    variants = bench.variants()
    box, _, since = prepare(bench, "update", settings=THRIFTY)
    device = bench.device(since)
    box.wait_shell()
    wait_good(bench, box, since)
    bench.fetch(box, "vivid")
    vivid(box, "no_signal")
    before = bench.broker.wait("/event", lambda body: body["state"] == "raised", NEWS_S, since, box)
    vivid(box, "signal")
    said, ordinal = [], 0
    good_root = variants.root("0.2.0")
    good = variants.bundle("good", good_root, "0.2.0")
    bad = {"broken signature": variants.bundle("stranger", good_root, "0.2.0", signer=variants.stranger()),
           "damaged payload": variants.damaged(good, "damaged"),
           "wrong board": variants.bundle("board", good_root, "0.2.0", compatible="picket-rk3588"),
           "older version": variants.bundle("older", good_root, "0.0.9")}
    untouched = box.must("head -c 65536 /dev/disk/by-partlabel/rootfs-b | sha256sum")
    with bench.web(variants.folder) as url:
        for why, file in bad.items():
            ordinal += 1
            at = bench.broker.mark()
            bench.broker.command(device, "update", f"bad-{ordinal}", {"bundle": f"{url}/{file.name}"})
            reply = wait_update(bench, box, f"bad-{ordinal}", at)
            must(reply["status"] == "failed" and reply["code"] == "refused", f"{why}: {reply}")
            said.append(f"{why}: refused: {reply['text']}")
        must(untouched == box.must("head -c 65536 /dev/disk/by-partlabel/rootfs-b | sha256sum"), "a refused bundle changed the other slot")
        at = bench.broker.mark()
        bench.broker.command(device, "update", "good-1", {"bundle": f"{url}/{good.name}"})
        reply = wait_update(bench, box, "good-1", at)
        must(reply["status"] == "done", f"the good update: {reply}")
        firmware = bench.broker.wait("/firmware", lambda body: body.get("slot") == "B" and not body["trial"], NEWS_S, at, box)
        must(firmware["image_version"] == "0.2.0", json.dumps(firmware))
        said.append(f"good bundle over HTTP: {reply['text']}; slots {json.dumps(firmware['slots'])}")
        crash = variants.bundle("crash", variants.root("0.3.0", crashing), "0.3.0")
        at = bench.broker.mark()
        bench.broker.command(device, "update", "crash-1", {"bundle": f"{url}/{crash.name}"})
        reply = wait_update(bench, box, "crash-1", at)
        must(reply["status"] == "failed" and reply["code"] == "rolled_back", f"the crashing update: {reply}")
        firmware = bench.broker.wait("/firmware", lambda body: body.get("last_update", {}).get("result") == "rolled_back", NEWS_S, at, box)
        must(firmware["image_version"] == "0.2.0" and firmware["slot"] == "B", json.dumps(firmware))
        said.append(f"crashing daemon: {reply['text']}")
    box.wait_shell(START_S)
    seen = box.must("ls /var/lib/picket")
    bench.fetch(box, "vivid")
    vivid(box, "no_signal")
    after = bench.broker.wait("/event", lambda body: body["state"] == "raised", NEWS_S, at, box)
    must(after["seq"] > before["seq"] and after["device"] == before["device"], f"the count of events began anew: {before['seq']} then {after['seq']}")
    said.append(f"events: seq {before['seq']} before, {after['seq']} after two updates; {gaps(bench)} missing; state folder: {' '.join(seen.split())}")
    must(gaps(bench) == 0, said[-1])
    box.cut()
    said.append(f"{box.starts} switch-ons, {box.cpu_s:.0f} s of processor time in all")
    return said


# The outbox reserves numbers; what it reserved before a power cut is never given again (src/outbox/mod.rs).
RESERVE = 4096


def missing(bodies):
    """Numbers of events that never arrived. Between two starts of the box a leap of what was reserved is none."""
    boots = {body["seq"]: body["boot"] for body in bodies}
    order = sorted(boots)
    leaps = [(after - before - 1, boots[after] != boots[before]) for before, after in zip(order, order[1:])]
    return sum(width for width, other in leaps if not (other and width < RESERVE))


def gaps(bench):
    """The same, of all events that were told since this scenario began."""
    return missing(bench.broker.bodies("/event", bench.began))


def raised(box):
    """(seq, id, step) of the events that the outbox of a box that is off has on its disk."""
    return {(body["seq"], body["id"], body["state"]) for body in spool.events(box.disk, offset_of(box.disk, 5), box.folder)}


def judge_cuts(bodies, witnessed):
    """What is wrong with the events that arrived, if anything: `witnessed` were on the box's disk when the plug was pulled."""
    once = {}
    for body in bodies:
        once.setdefault(body["seq"], body)
    lost = witnessed - {(body["seq"], body["id"], body["state"]) for body in once.values()}
    wrong = [f"never arrived: {sorted(lost)}"] if lost else []
    if list(once) != sorted(once):
        wrong.append(f"not in order: {list(once)}")
    if numbers := missing(bodies):
        wrong.append(f"{numbers} numbers are missing")
    return "; ".join(wrong)


def cuts(bench):
    """The plug is pulled at random moments, in a start, at work while the broker stands still, and while an update is written; the box always comes back, no
    event is missing."""
    chance = random.Random(bench.seed)
    variants = bench.variants()
    box, _, since = prepare(bench, "cuts", settings=THRIFTY)
    device = bench.device(since)
    box.wait_shell()
    bench.fetch(box, "vivid")
    box.must("cp /run/vivid /data/vivid")
    bundle = variants.bundle("next", variants.root("0.2.0"), "0.2.0")
    moments, witnessed, unsent = [], set(), 0
    with bench.web(variants.folder) as url:
        box.must(f"wget -q -O /data/update/next.raucb {url}/{bundle.name} && sync", 300)
    for number in range(bench.cuts):
        kind = ("work", "start", "update")[number % 3]
        if kind == "start":
            box.cut()
            box.on()
            pause = chance.uniform(2, 90)
        else:
            # Small pictures leave the emulated processor more time for the rest.
            vivid(box, "small", "/data")
            if kind == "work":
                bench.broker.halt()
            vivid(box, chance.choice(["freeze", "no_signal"]), "/data")
            if kind == "update":
                bench.broker.command(device, "update", f"cut-{number}", {"bundle": "next.raucb", "force": True})
            pause = chance.uniform(1, 60)
        time.sleep(pause)
        box.cut()
        bench.broker.go_on()
        moments.append(f"{kind}+{pause:.0f}s")
        told, kept = {body["seq"] for body in bench.broker.bodies("/event", bench.began)}, raised(box)
        unsent += len({seq for seq, *_ in kept} - told)
        witnessed |= kept
        at = bench.broker.mark()
        box.on()
        online(bench, box, at)
        box.wait_shell(START_S)
        print(f"    cut {number + 1} of {bench.cuts}: {moments[-1]}, back", flush=True)
    vivid(box, "signal", "/data")
    vivid(box, "move", "/data")
    version = box.must("grep IMAGE_VERSION /etc/os-release").strip()
    bench.broker.wait("/health", lambda body: body["spool"]["n"] == 0, NEWS_S, bench.broker.mark(), box)
    bodies = bench.broker.bodies("/event", bench.began)
    wrong = judge_cuts(bodies, witnessed)
    must(not wrong, f"{wrong}; cuts: {', '.join(moments)}")
    box.cut()
    events = {body["seq"] for body in bodies}
    return [f"seed {bench.seed}: {len(moments)} cuts ({', '.join(moments)}); the box came back each time, at last as {version}",
            f"{len(events)} events arrived, in order, each number of {len(witnessed)} that the box's disk held at the cuts ({unsent} had not been sent yet); {box.cpu_s:.0f} s of processor time"]


def shut(bench):
    """The image for customers: no shell and no prompt on its console, no open port, and it comes online all the same."""
    box = bench.box("shut", bench.image_closed)
    box.card_put("picket.toml", QUIET)
    since = bench.broker.mark()
    box.on()
    body = online(bench, box, since)
    time.sleep(10)
    box.type("\n\nroot\n\nid")
    time.sleep(10)
    text = "\n".join(box.lines)
    must("uid=" not in text and "login" not in text and "built-in shell" not in text, f"the console answers: {text[-300:]}")
    box.cut()
    return [f"online {body['mono_ms'] / 1000:.2f} s after the kernel began (first start); the console says nothing"]


def uefi(bench):
    """The image of generic-uefi on an NVMe disk, with another network card and no capture driver: it comes online, and again after a restart."""
    box = bench.box("uefi", bench.image_uefi, PHYSICAL)
    settings = QUIET.replace("[device]\n", "[device]\nallow_reboot = true\n")
    box.card_put("picket.toml", settings)
    since = bench.broker.mark()
    box.on()
    first = online(bench, box, since)
    firmware = wait_good(bench, box, since)
    at = bench.broker.mark()
    bench.broker.command(bench.device(since), "reboot", "anew", {})
    again = online(bench, box, at, first["boot"])
    box.cut()
    return [f"online {first['mono_ms'] / 1000:.2f} and {again['mono_ms'] / 1000:.2f} s after the kernel began; version {firmware['image_version']}, slot A confirmed",
            f"{box.cpu_s:.0f} s of processor time"]


class Web:
    """The files of a folder over HTTP on loopback, or over HTTPS with a pair of certificate and key."""

    def __init__(self, folder, pair=None):
        handler = functools.partial(Quiet, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.scheme = "https" if pair else "http"
        if pair:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*pair)
            # The handshake is the request's thread's: it must not hold up the server.
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        # A box that loses its power in the middle is no error of the server's.
        self.server.handle_error = lambda *_: None

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"{self.scheme}://10.0.2.2:{self.server.server_port}"

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass
