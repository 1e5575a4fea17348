"""Updates that go wrong after the restart, and the ways in which a bundle comes to the box."""
import re
import subprocess

import variants as kinds
from scenarios import NEWS_S, QUIET, START_S, must, online, prepare, wait_good, wait_update

# What is wrong with the new version; how often it may start; what the box says of it.
TRIALS = ((kinds.hanging, 1, r"Picket ended 3 times"),
          (kinds.unreached, 1, r"did not become fit within 100 s"),
          (kinds.refusing, 1, r"does not start: .*no_such_key"),
          (kinds.lifeless, 3, r"the boot loader gave up after three starts"),
          (kinds.stuck, 3, r"the boot loader gave up after three starts"))


def trials(bench):
    """A new version that hangs, does not reach the broker, refuses the settings, does not start, hangs the machine: back in the old one each time."""
    variants = bench.variants()
    box, _, since = prepare(bench, "trials", settings=QUIET)
    device = bench.device(since)
    box.wait_shell()
    wait_good(bench, box, since)
    said = []
    with bench.web(variants.folder) as url:
        for change, starts, text in TRIALS:
            name = change.__name__
            bundle = variants.bundle(name, variants.root("0.2.0", change), "0.2.0")
            at, line = bench.broker.mark(), len(box.lines)
            bench.broker.command(device, "update", f"trial-{name}", {"bundle": f"{url}/{bundle.name}"})
            reply = wait_update(bench, box, f"trial-{name}", at)
            must(reply["status"] == "failed" and reply["code"] == "rolled_back" and re.search(text, reply["text"]), f"{name}: {reply}")
            firmware = bench.broker.wait("/firmware", lambda body: body.get("last_update", {}).get("result") == "rolled_back", NEWS_S, at, box)
            must(firmware["slot"] == "A" and not firmware["trial"], f"{name}: {firmware}")
            slots = [found[1] for found in (re.search(r"picket: slot ([AB])", text) for text in box.lines[line:]) if found]
            must(slots == ["B"] * starts + ["A"], f"{name}: the boot loader chose {slots}")
            said.append(f"{name}: {reply['text']} (slots started: {' '.join(slots)})")
    box.cut()
    said.append(f"{box.cpu_s:.0f} s of processor time in all")
    return said


def tries(bench):
    """A slot in which nothing is, and one whose kernel panics, each first in the order: started three times, then the other comes."""
    variants, said = bench.variants(), []
    kernel = variants.kernel_alone().read_bytes()
    box = bench.box("tries")
    box.card_put("picket.toml", QUIET)
    for what, root in (("nothing in it", bytes(1 << 20)), ("a kernel that panics", kernel)):
        box.boot_first("ORDER=B A\nA_OK=1\nA_TRY=0\nB_OK=1\nB_TRY=0\nwhole=1\n", root)
        since = bench.broker.mark()
        box.on()
        slots = [re.search(r"picket: slot ([AB])", box.wait_line("picket: slot", START_S))[1] for _ in range(4)]
        must(slots == ["B", "B", "B", "A"], f"{what}: the boot loader chose {slots}")
        firmware = bench.broker.wait("/firmware", lambda body: body.get("slot"), START_S, since, box)
        must(firmware["slot"] == "A", f"{firmware}")
        box.cut()
        said.append(f"{what}: started {' '.join(slots)}, online in slot {firmware['slot']}")
    return [*said, f"{box.cpu_s:.0f} s of processor time"]


def authority(folder, name):
    """(certificate, key) of an authority, made anew."""
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert, "-days", "30",
                    "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign"], check=True, capture_output=True)
    return cert, key


def sign(folder, name, request, pair, more=()):
    """The certificate for `request`, by the authority `pair`."""
    cert = folder / f"{name}.pem"
    subprocess.run(["openssl", "x509", "-req", "-in", request, "-CA", pair[0], "-CAkey", pair[1], "-days", "30", "-copy_extensions", "copy", "-out", cert, *more],
                   check=True, capture_output=True)
    return cert


def server_pair(folder, name, pair):
    """A server's pair for the address under which the box sees this machine."""
    key, request = folder / f"{name}.key", folder / f"{name}.csr"
    subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", request,
                    "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:10.0.2.2", "-addext", "extendedKeyUsage=serverAuth"], check=True, capture_output=True)
    return sign(folder, name, request, pair), key


def bundles(bench):
    """Bundles over HTTPS by an authority of the house's own (a stranger's is refused), from the PICKET partition, and by hand from a file."""
    variants = bench.variants()
    house, stranger = authority(variants.folder, "house"), authority(variants.folder, "nobody")
    # Before the box starts: its clock, which counts instructions, is late when it is busy.
    pairs = {name: server_pair(variants.folder, f"{name}-server", by) for name, by in (("house", house), ("stranger", stranger))}
    first, second, third = (variants.bundle(f"way-{version}", variants.root(version), version) for version in ("0.2.0", "0.3.0", "0.4.0"))
    box = bench.box("bundles")
    box.card_put("tls/update-ca.pem", house[0].read_bytes())
    box, _, since = prepare(bench, "bundles", box, QUIET)
    device = bench.device(since)
    box.wait_shell()
    said = []

    def asked(ident, source, want, **more):
        at = bench.broker.mark()
        bench.broker.command(device, "update", ident, {"bundle": source, **more})
        reply = wait_update(bench, box, ident, at)
        must(reply["status"] == want, f"{ident}: {reply}")
        said.append(f"{ident}: {reply['status']}: {reply['text']}")
        ended = lambda last: last.get("id") == ident and last["result"] not in ("installing", "installed")
        return bench.broker.wait("/firmware", lambda body: ended(body.get("last_update", {})), NEWS_S, at, box)

    with bench.web(variants.folder, pairs["stranger"]) as url:
        asked("https-stranger", f"{url}/{first.name}", "failed")
    must("certificate" in said[-1], said[-1])
    with bench.web(variants.folder, pairs["house"]) as url:
        firmware = asked("https-house", f"{url}/{first.name}", "done")
    must(firmware["slot"] == "B" and firmware["image_version"] == "0.2.0", f"{firmware}")
    box.wait_shell(START_S)
    box.must("sync")
    box.cut()
    box.card_put("next.raucb", second.read_bytes())
    since = bench.broker.mark()
    box.on()
    online(bench, box, since)
    box.wait_shell(START_S)
    firmware = asked("from-the-card", "next.raucb", "done")
    must(firmware["slot"] == "A" and firmware["image_version"] == "0.3.0", f"{firmware}")
    box.wait_shell(START_S)
    with bench.web(variants.folder) as url:
        box.must(f"wget -q -O /data/update/hand.raucb {url}/{third.name} && sync", 300)
    at = bench.broker.mark()
    # The box starts anew before its shell could tell the end.
    box.type("/usr/lib/picket/update hand.raucb")
    firmware = bench.broker.wait("/firmware", lambda body: body.get("slot") == "B" and not body["trial"], NEWS_S + START_S, at, box)
    must(firmware["image_version"] == "0.4.0" and firmware["last_update"]["result"] == "confirmed", f"{firmware}")
    said.append(f"by hand: {firmware['last_update']['text']}")
    box.cut()
    return said

