"""The fleet page in a real browser, on a real broker, with devices that are not there. Pictures of it go to $PICKET_FLEET_OUT."""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import time
import unittest

import bench
import devtools
import policy

SIMULATOR = os.environ.get("PICKET_FLEET_SIM", str(bench.ROOT / "target" / "debug" / "picket-fleet-sim"))
OUT = pathlib.Path(os.environ.get("PICKET_FLEET_OUT", tempfile.gettempdir()))
DEVICES = 150
STRANGER = "pk-0000000000ff"
TO_WALL = "document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'w', bubbles: true }))"
# Each frame arrives in two halves, which WebSocket allows.
SPLIT = """(() => {
  const real = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'onmessage');
  Object.defineProperty(WebSocket.prototype, 'onmessage', { ...real, set(taker) {
    real.set.call(this, event => { const half = event.data.byteLength >> 1; for (const data of [event.data.slice(0, half), event.data.slice(half)]) taker({ data }); });
  } });
})()"""
NASTY = "<img src=x onerror=\"document.title='owned'\">"


class Alone(unittest.TestCase):
    page = policy.PAGE.read_text(encoding="utf-8")

    def test_it_may_run_only_what_is_in_it(self):
        self.assertEqual(self.page, policy.with_hashes(self.page), "policy.py --write")
        rules = re.search(r'Content-Security-Policy" content="([^"]*)"', self.page)[1]
        self.assertIn("default-src 'none'", rules)
        self.assertNotIn("unsafe", rules)

    def test_it_takes_nothing_from_anywhere(self):
        for outside in ("http:", "https:", "url(", "@import", "<link rel=\"style", "<iframe", " src=\"", "fetch(", "XMLHttpRequest", "import("):
            found = [self.page[at.start() :][:60] for at in re.finditer(re.escape(outside), self.page)]
            found = [text for text in found if not text.startswith(("http://www.w3.org/2000/svg'", "https:'"))]
            self.assertEqual(found, [], outside)

    def test_it_makes_no_elements_of_text(self):
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "javascript:"):
            self.assertNotIn(way, self.page)


class OnBroker(unittest.TestCase):
    """A broker of its own that serves the page, and a browser."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.broker = bench.Broker(folder.name)
        cls.addClassCleanup(lambda: cls.broker.stop())
        cls.browser = devtools.Chromium()
        cls.addClassCleanup(cls.browser.close)

    @classmethod
    def enter(cls, password):
        values = json.dumps({"url": f"ws://127.0.0.1:{cls.broker.web}", "user": "fleet-page", "password": password})
        cls.browser.run(f"for (const [name, value] of Object.entries({values})) document.querySelector(`[name=${{name}}]`).value = value; document.querySelector('.go').click()")


class Page(OnBroker):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        fleet = bench.Fleet(SIMULATOR, cls.broker, devices=DEVICES, seconds=600, scenario="storm", incident_every=600, ramp=1)
        cls.addClassCleanup(fleet.stop)
        OUT.mkdir(parents=True, exist_ok=True)
        cls.login("looks-only")

    @classmethod
    def login(cls, password):
        cls.browser.go(f"http://127.0.0.1:{cls.broker.web}/fleet.html")
        cls.enter(password)
        cls.browser.wait("picket().up")
        cls.browser.wait(f"picket().named >= {DEVICES} && picket().healthy >= {DEVICES}", 30)

    def setUp(self):
        self.browser.size(1440, 900)
        self.browser.run("document.querySelector('#shut')?.click(); document.querySelector('[data-view=sources]').click(); const f = document.querySelector('#find'); f.value = ''; f.dispatchEvent(new Event('input'))")

    def state(self):
        return self.browser.run("picket()")

    def click(self, selector):
        self.assertTrue(self.browser.run(f"(() => {{ const found = document.querySelector({json.dumps(selector)}); found?.click(); return Boolean(found); }})()"), selector)

    def find(self, text):
        self.browser.run(f"const field = document.querySelector('#find'); field.value = {json.dumps(text)}; field.dispatchEvent(new Event('input'))")

    def say(self, topic, body, retain=True):
        command = [bench.program("mosquitto_pub"), "-h", "127.0.0.1", "-p", str(self.broker.open), "-q", "1", "-t", topic, "-s" if body else "-n", *(["-r"] if retain else [])]
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        subprocess.run(command, input=data, check=True, timeout=10)

    def stranger(self, conn=1, site=NASTY):
        """A device of which everything is told by hand."""
        head = {"v": 0, "ts": "2026-01-01T00:00:00.000Z", "mono_ms": 1, "boot": "00000001", "synced": False}
        root = f"picket/1/{STRANGER}"
        self.say(f"{root}/status", {**head, "state": "online", "conn": conn})
        self.say(f"{root}/info", {**head, "device": STRANGER, "name": NASTY, "site": site, "sources": [{"id": "odd", "input": NASTY}]})
        self.say(f"{root}/src/odd/state", {**head, "verdict": "alert", "open": [{"id": "i-1", "defect": NASTY, "severity": "major"}]})
        return head, root

    def tiles(self):
        return self.browser.run("Array.from(document.querySelectorAll('.tile'), tile => tile.innerText.replaceAll('\\n', ' | '))")

    def test_all_of_the_fleet_is_there(self):
        state = self.state()
        listed = subprocess.run(
            [bench.program("mosquitto_sub"), "-h", "127.0.0.1", "-p", str(self.broker.open), "-t", "picket/1/+/src/+/state", "--retained-only", "-F", "%t", "-W", "2"],
            capture_output=True, text=True, check=False,
        ).stdout.split()
        self.assertEqual(state["sources"] - (1 if any(STRANGER in topic for topic in listed) else 0), len([topic for topic in listed if STRANGER not in topic]))
        self.assertEqual(sum(state["verdicts"].values()), state["sources"])
        self.assertEqual(state["verdicts"]["silent"], 0, "health comes as it is sent")
        self.browser.wait("document.querySelectorAll('.tile img').length > 3")

    def test_trouble_stands_first(self):
        self.browser.wait("picket().verdicts.alert > 5 && document.querySelectorAll('.tile.big').length > 5", 60)
        self.browser.shot(OUT / "desk.png")
        self.browser.listen(1.2)
        order = self.browser.run("Array.from(document.querySelectorAll('.tile')).map(tile => [tile.getBoundingClientRect().top, tile.classList.contains('big')]).sort((a, b) => a[0] - b[0]).map(one => one[1])")
        self.assertEqual(order, sorted(order, reverse=True))

    def test_incidents_have_their_evidence(self):
        self.browser.wait("picket().shots > 0", 60)
        self.click("[data-view=incidents]")
        self.browser.wait("document.querySelector('.row.incident .shot img')")
        self.browser.shot(OUT / "incidents.png")
        self.browser.run("document.querySelector('.row.incident .shot img').closest('.row').click()")
        self.browser.wait("document.querySelector('aside figure img')?.naturalWidth === 480")
        self.assertIn("the picture then", self.browser.run("document.querySelector('aside').innerText"))
        self.browser.shot(OUT / "incident.png")

    def test_a_device_tells_its_health(self):
        self.click("[data-view=devices]")
        self.browser.wait("document.querySelector('.row.device')")
        self.browser.shot(OUT / "devices.png")
        self.click(".row.device")
        self.browser.wait("document.querySelectorAll('aside .curve polyline').length === 3")
        text = self.browser.run("document.querySelector('aside').innerText")
        for part in ("Its memory", "Last word", "Waiting", "Clock"):
            self.assertIn(part, text)

    def test_search_and_site_narrow_it(self):
        self.find("no-such-thing")
        self.browser.wait("document.querySelector('#empty:not([hidden])')?.innerText.includes('Nothing matches')")
        self.find("")
        self.browser.run("const site = document.querySelector('#site'); site.value = 'Cardiff'; site.dispatchEvent(new Event('change'))")
        self.browser.wait("document.querySelectorAll('.tile').length > 0 && Array.from(document.querySelectorAll('.tile')).every(tile => tile.innerText.includes('Cardiff'))")
        self.browser.run("site.value = ''; site.dispatchEvent(new Event('change'))")
        self.browser.wait("Array.from(document.querySelectorAll('.tile')).some(tile => tile.innerText.includes('Hull'))")

    def test_what_devices_say_is_text_and_no_more(self):
        head, root = self.stranger()
        self.say(f"{root}/src/odd/event", b"\xff\xfe not JSON", retain=False)
        self.say(f"{root}/health", b"[1, 2", retain=False)
        self.say("picket/1/pk-zz/status", {"state": "online"}, retain=False)
        self.say(f"picket-img/1/{STRANGER}/odd/last", b"<svg onload=alert(1)>")
        self.say(f"{root}/src/odd/event", {**head, "type": "incident", "state": "raised", "id": "i-2", "defect": "freeze", "severity": "major", "seq": 1, "text": NASTY, "at_s": 1.0, "onset_s": 0.5}, retain=False)
        self.find(STRANGER)
        self.browser.wait("document.querySelectorAll('.tile').length === 1")
        self.assertIn(NASTY, self.tiles()[0])
        self.click(".tile")
        self.browser.listen(1.2)
        self.assertEqual(self.browser.run("document.querySelectorAll('.tile img, aside img').length"), 0)
        self.assertNotEqual(self.browser.run("document.title"), "owned")
        self.assertEqual(self.state()["bad"], 2)

    def test_a_will_of_an_earlier_connection_is_no_news(self):
        head, root = self.stranger(conn=5)
        self.find(STRANGER)
        self.browser.wait("document.querySelectorAll('.tile').length === 1")
        self.say(f"{root}/status", {**head, "state": "lost", "conn": 4})
        self.browser.listen(1.5)
        self.assertNotIn("Device lost", self.tiles()[0])
        self.say(f"{root}/status", {**head, "state": "lost", "conn": 5})
        self.browser.wait("document.querySelector('.tile')?.innerText.includes('Device lost')", 5)
        self.say(f"{root}/status", {**head, "state": "online", "conn": 6})
        self.browser.wait("!document.querySelector('.tile')?.innerText.includes('Device lost')", 5)
        for topic in ("info", "src/odd/state", "status"):
            self.say(f"{root}/{topic}", b"")
        self.browser.wait("document.querySelectorAll('.tile').length === 0", 5)

    def test_it_fits_every_screen(self):
        for name, width, height, scale, phone in (("phone", 390, 844, 2, True), ("tablet", 820, 1180, 1, True), ("wall", 1920, 1080, 1, False), ("large-wall", 3840, 2160, 1, False)):
            self.browser.size(width, height, scale, phone)
            if "wall" in name:
                self.browser.run(TO_WALL)
            self.browser.listen(2.0)
            self.assertLessEqual(self.browser.run("document.documentElement.scrollWidth"), width, name)
            outside = self.browser.run("Array.from(document.querySelectorAll('.tile, header > *')).filter(one => { const at = one.getBoundingClientRect(); return at.width && (at.right > innerWidth + 1 || at.left < -1) && !one.closest('.counts'); }).length")
            self.assertEqual(outside, 0, name)
            self.browser.shot(OUT / f"{name}.png")
            if "wall" in name:
                self.browser.run(TO_WALL)

    def test_the_password_ends_with_the_tab(self):
        kept = self.browser.run("JSON.stringify(localStorage) + document.cookie + location.href")
        self.assertIn("fleet-page", kept)
        self.assertNotIn("looks-only", kept)
        # A reload of the tab may use it, an address that names another broker not.
        page, other = f"http://127.0.0.1:{self.broker.web}/fleet.html", f"ws://127.0.0.1:{bench.free_port()}"
        self.browser.go("about:blank")
        self.browser.go(f"{page}#url={other}&user=fleet-page")
        self.browser.wait("document.querySelector('#ask').open")
        self.browser.listen(1)
        self.assertFalse([url for url in self.browser.requests if url.startswith(other)])
        self.browser.go("about:blank")
        self.browser.go(page)
        self.browser.wait(f"picket().up && picket().named >= {DEVICES}", 30)

    def test_zz_it_comes_back_with_the_broker(self):
        self.broker.stop()
        self.browser.wait("!picket().up", 10)
        self.assertIn("again in", self.browser.run("document.querySelector('#link').innerText"))
        time.sleep(1)
        self.broker.start()
        self.browser.wait("picket().up", 60)
        before = self.state()["health"]
        self.browser.wait(f"picket().health > {before} + {DEVICES}", 60)
        self.assertEqual(self.state()["verdicts"]["silent"], 0)

    def test_zzz_a_wrong_password_is_told_and_all_was_quiet(self):
        # So far: nothing was refused by the policy, nothing failed, nobody else was asked, and all that was said was as in the contract.
        self.assertEqual((self.state()["faults"], self.state()["odd"], self.state()["beyond"]), (0, 0, 0))
        self.assertEqual([text for text in self.browser.logged if "WebSocket connection" not in text], [])
        own = f"127.0.0.1:{self.broker.web}/"
        self.assertEqual({url for url in self.browser.requests if not url.startswith("blob:")} - {f"http://{own}fleet.html", f"ws://{own}", "data:,"}, set())
        self.click("#link")
        self.enter("guessed")
        self.browser.wait("document.querySelector('#why:not([hidden])')?.innerText.includes('does not accept')")
        self.browser.shot(OUT / "refused.png")


class Hostile(OnBroker):
    """One device says what it likes; the others are there, and are shown, all the same."""

    def setUp(self):
        subprocess.run([bench.program("mosquitto_sub"), "-h", "127.0.0.1", "-p", str(self.broker.open), "-t", "picket/#", "--remove-retained", "--retained-only", "-W", "1"], capture_output=True, check=False)
        self.browser.go("about:blank")
        self.browser.go(f"http://127.0.0.1:{self.broker.web}/fleet.html")
        self.browser.run("sessionStorage.clear(); localStorage.clear()")
        self.browser.run(SPLIT)
        self.enter("looks-only")
        self.browser.wait("picket().up")

    def say(self, topic, *bodies):
        lines = "".join(json.dumps(body) + "\n" for body in bodies)
        command = [bench.program("mosquitto_pub"), "-h", "127.0.0.1", "-p", str(self.broker.open), "-q", "1", "-t", topic, "-l"]
        subprocess.run(command, input=lines.encode(), check=True, timeout=30)

    @staticmethod
    def event(number, state="raised", seq=None):
        return {"type": "incident", "state": state, "id": f"i-{number}", "defect": "freeze", "severity": "major", "seq": seq or number, "at_s": 1.0, "onset_s": 0.5, "text": "frozen"}

    def told(self):
        return self.browser.run("picket()")

    def test_what_is_malformed_is_left_out_and_counted(self):
        bad, good = f"picket/1/{STRANGER}", "picket/1/pk-000000000001"
        odd = [None, 7, "x", True, [], [None], [[]], {}, {"a": None}, 1e308, -1]
        for topic, fields in (
            ("info", ("name", "site", "version", "sources")),
            ("health", ("class", "cpu_pct", "spool", "mqtt", "budget", "src", "up_s", "safe_mode", "cert_days")),
            ("status", ("state", "conn", "boot")),
            ("src/odd/state", ("verdict", "open", "format", "fps", "ts")),
            ("src/odd/event", ("id", "state", "seq", "severity", "masks", "evidence", "onset_ts", "value", "text")),
        ):
            whole = self.event(1) | {"state": "online"} if topic == "status" else self.event(1)
            self.say(f"{bad}/{topic}", *({**whole, field: value} for field in fields for value in odd), *(value for value in odd if value is not None))
        self.say(f"{bad}/info", {"sources": [None, {"id": None}, {"id": "odd"}]})
        self.say(f"{bad}/health", {"src": {"odd": None, "__proto__": {}, "UPPER": {}}})
        self.say(f"{bad}/src/odd/state", {"verdict": "alert", "open": [None, {"id": "i-1"}, {"id": "i-2", "defect": "black", "severity": "odd one"}]})
        self.say(f"{good}/src/well/state", {"verdict": "ok"})
        self.browser.wait("picket().verdicts.ok === 1 && picket().verdicts.alert === 1")
        for tab in ("devices", "incidents", "sources"):
            self.browser.run(f"document.querySelector('[data-view={tab}]').click()")
            self.browser.wait("document.querySelector('.row, .tile')")
            self.browser.run("document.querySelector('.row, .tile').click()")
            self.browser.listen(1.2)
        self.assertIn("Black", self.browser.run("document.querySelector('.tile.big').innerText"))
        self.assertEqual(self.browser.run("document.querySelectorAll('.tile').length"), 2)
        told = self.told()
        self.assertGreater(told["odd"], 50)
        self.assertGreater(told["bad"], 20)
        self.assertEqual((told["faults"], [text for text in self.browser.logged if "WebSocket connection" not in text]), (0, []))

    def test_a_message_that_fails_takes_no_other_with_it(self):
        # What arrives in halves is put together again, also behind one that this page cannot bear.
        self.browser.run("(() => { const real = TextDecoder.prototype.decode; TextDecoder.prototype.decode = function (...given) { const said = real.apply(this, given); if (said.includes('/src/fault/')) throw new Error('as the test says'); return said; }; })()")
        for number in range(1, 40):
            self.say(f"picket/1/pk-{number:012x}/src/fault/state", {"verdict": "ok"})
            self.say(f"picket/1/pk-{number:012x}/src/well/state", {"verdict": "ok"})
        self.browser.wait("picket().verdicts.ok === 39")
        self.assertEqual(self.told()["faults"], 39)
        self.browser.wait("document.querySelectorAll('.tile').length === 39")
        self.browser.logged.clear()

    def test_an_incident_is_its_devices_own(self):
        ours, other = "picket/1/pk-000000000001", f"picket/1/{STRANGER}"
        self.say(f"{ours}/src/a/event", self.event(1))
        self.say(f"{other}/src/a/event", self.event(1, "cleared", 99))
        self.browser.wait("picket().incidents === 2")
        self.browser.run("document.querySelector('[data-view=incidents]').click()")
        self.browser.wait("document.querySelectorAll('.row.incident:not(.closed)').length === 1 && document.querySelectorAll('.row.incident.closed').length === 1")

    def test_what_is_never_cleared_is_kept_up_to_a_limit(self):
        self.say("picket/1/pk-000000000001/src/a/event", self.event(1))
        self.say(f"picket/1/{STRANGER}/src/a/event", *(self.event(number) for number in range(1, 5001)))
        self.browser.wait("picket().messages === 5001", 60)
        self.assertEqual(self.told()["incidents"], 301)
        for number in range(2, 22):
            self.say(f"picket/1/pk-{number:012x}/src/a/event", *(self.event(number) for number in range(1, 201)))
        self.browser.wait("picket().messages === 9001", 60)
        self.assertEqual(self.told()["incidents"], 3000)
        self.say(f"picket/1/{STRANGER}/info", *({"site": f"s-{number}", "sources": [{"id": f"n-{number}-{n}"} for n in range(80)]} for number in range(50)))
        for number in range(80):
            self.say(f"picket/1/{STRANGER}/src/more-{number}/state", {"verdict": "ok"})
        self.browser.wait("picket().beyond === 80 && picket().sources === 64 + 21", 60)
        told = self.told()
        self.assertEqual((told["sites"], told["incidents"]), (1, 3000))


class Simulated(unittest.TestCase):
    """The simulator against its own ledger: what it sends arrives, and what it loses is counted."""

    def run_fleet(self, **options):
        with tempfile.TemporaryDirectory() as folder:
            broker = bench.Broker(folder)
            fleet = bench.Fleet(SIMULATOR, broker, check=True, ramp=1, **options)
            try:
                return fleet.result(options["seconds"] + 40)
            finally:
                fleet.stop()
                broker.stop()

    def test_events_that_did_not_fit_are_explained(self):
        told = self.run_fleet(devices=60, connections=4, scenario="gaps", seconds=56, incident_every=15, pictures=0)
        self.assertGreater(told["check"]["missing"], 0, told)
        self.assertEqual(told["check"]["unexplained"], 0)
        self.assertEqual(told["check"]["missing"], told["check"]["explained"])

    def test_all_come_back_on_lines_of_their_own(self):
        told = self.run_fleet(devices=60, connections=60, scenario="reconnect", seconds=45, incident_every=15, pictures=0)
        self.assertEqual(told["connections"], 120)
        self.assertEqual(told["check"]["missing"], 0, told)


if __name__ == "__main__":
    unittest.main()
