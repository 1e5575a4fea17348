"""Who may do what, as systemd/fleet/mosquitto.conf and mosquitto.acl say: two devices with certificates that try everything."""

import json
import pathlib
import subprocess
import tempfile
import time
import unittest

import bench

ONE, TWO = "pk-aaaaaaaaaaaa", "pk-bbbbbbbbbbbb"


class Listener:
    """mosquitto_sub in the background; `topics` is what it has heard."""

    def __init__(self, arguments, filters=("#",)):
        self.output = tempfile.TemporaryFile("w+", encoding="utf-8")
        command = [bench.program("mosquitto_sub"), *arguments, "-V", "5", "-q", "1", "-F", "%t %p"]
        for topic in filters:
            command += ["-t", topic]
        self.process = subprocess.Popen(command, stdout=self.output, stderr=subprocess.DEVNULL)
        time.sleep(0.7)

    @property
    def heard(self):
        self.output.seek(0)
        return dict(line.split(" ", 1) for line in self.output.read().splitlines())

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


class Access(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.broker = bench.Broker(cls.folder.name, devices=[ONE, TWO])
        cls.listeners = []

    @classmethod
    def tearDownClass(cls):
        for listener in cls.listeners:
            listener.stop()
        cls.broker.stop()
        cls.folder.cleanup()

    def device(self, name, client=None):
        at = pathlib.Path(self.folder.name)
        return ["-h", "127.0.0.1", "-p", str(self.broker.tls), "--cafile", f"{at}/ca.pem", "--cert", f"{at}/{name}.pem", "--key", f"{at}/{name}.key", "-i", client or name]

    def person(self, user, password=None):
        return ["-h", "127.0.0.1", "-p", str(self.broker.service), "-u", user, "-P", password or bench.PASSWORDS[user]]

    def listen(self, arguments, *filters):
        self.listeners.append(Listener(arguments, filters or ("#",)))
        return self.listeners[-1]

    def say(self, arguments, topic, text="x"):
        command = [bench.program("mosquitto_pub"), *arguments, "-V", "5", "-q", "1", "-t", topic, "-m", text]
        return subprocess.run(command, capture_output=True, timeout=20, text=True, check=False)

    def test_a_device_hears_only_what_is_meant_for_it(self):
        spy = self.listen(self.device(ONE), "#", f"picket/1/{TWO}/#", f"picket-img/1/{TWO}/#", "+/+/+/cmd/+", "homeassistant/#")
        for topic in (f"picket/1/{TWO}/status", f"picket/1/{TWO}/src/a/event", f"picket-img/1/{TWO}/a/last", f"homeassistant/device/{TWO}/config", f"picket/1/{TWO}/reply/7"):
            self.assertEqual(self.say(self.device(TWO), topic).returncode, 0)
        self.say(self.person("operator"), f"picket/1/{TWO}/cmd/selftest", "for two")
        self.say(self.person("operator"), f"picket/1/{ONE}/cmd/selftest", "for one")
        time.sleep(0.7)
        self.assertEqual(spy.heard, {f"picket/1/{ONE}/cmd/selftest": "for one"})
        spy.stop()

    def test_a_device_speaks_only_for_itself(self):
        everything = self.listen(["-h", "127.0.0.1", "-p", str(self.broker.open)])
        foreign = [
            f"picket/1/{TWO}/status", f"picket/1/{TWO}/src/a/event", f"picket/1/{TWO}/cmd/restart", f"picket-img/1/{TWO}/a/last",
            f"homeassistant/device/{TWO}/config", "homeassistant/status", f"picket/1/{ONE}/cmd/restart", f"picket/2/{ONE}/status", "elsewhere", f"picket/1/{TWO}/reply/1",
        ]
        for topic in foreign:
            self.say(self.device(ONE), topic, "forged")
        own = [f"picket/1/{ONE}/status", f"picket/1/{ONE}/src/a/event", f"picket-img/1/{ONE}/a/last", f"picket-bundle/1/{ONE}/x/0", f"picket/1/{ONE}/log", f"homeassistant/device/{ONE}/config"]
        for topic in own:
            self.say(self.device(ONE), topic, "own")
        time.sleep(0.7)
        heard = everything.heard
        self.assertEqual([topic for topic, text in heard.items() if text == "forged"], [])
        self.assertEqual(sorted(topic for topic, text in heard.items() if text == "own"), sorted(own))

    def test_a_device_cannot_take_anothers_session(self):
        two = self.listen(self.device(TWO), f"picket/1/{TWO}/cmd/#")
        # The broker names it by its certificate, whatever it says.
        self.say(self.device(ONE, client=TWO), f"picket/1/{ONE}/status")
        self.say(self.person("operator"), f"picket/1/{TWO}/cmd/selftest", "still there")
        time.sleep(0.7)
        self.assertIsNone(two.process.poll())
        self.assertEqual(two.heard, {f"picket/1/{TWO}/cmd/selftest": "still there"})

    def test_the_page_and_telegraf_only_read(self):
        everything = self.listen(["-h", "127.0.0.1", "-p", str(self.broker.open)])
        readers = {user: self.listen(self.person(user)) for user in ("fleet-page", "telegraf")}
        for user in readers:
            for topic in (f"picket/1/{ONE}/cmd/restart", f"picket/1/{ONE}/status", f"picket-img/1/{ONE}/a/last"):
                self.say(self.person(user), topic, "written by a reader")
        said = [f"picket/1/{ONE}/health", f"picket-img/1/{ONE}/b/last", f"picket/1/{ONE}/config", f"picket/1/{ONE}/reply/2"]
        for topic in said:
            self.assertEqual(self.say(self.device(ONE), topic, "said").returncode, 0)
        time.sleep(0.7)
        self.assertNotIn("written by a reader", everything.heard.values())
        self.assertEqual(sorted(readers["fleet-page"].heard), sorted(said[:2]))
        self.assertEqual(sorted(readers["telegraf"].heard), said[:1])

    def test_nobody_comes_in_without_a_key(self):
        at = pathlib.Path(self.folder.name)
        plain = ["-h", "127.0.0.1", "-p", str(self.broker.service)]
        no_certificate = ["-h", "127.0.0.1", "-p", str(self.broker.tls), "--cafile", f"{at}/ca.pem", "-i", ONE]
        for arguments in (plain, self.person("operator", "guessed"), [*plain, "-u", ONE], no_certificate):
            self.assertNotEqual(self.say(arguments, f"picket/1/{ONE}/status").returncode, 0, arguments)


class Samples(unittest.TestCase):
    """What can be said of the samples for programs that Debian does not have."""

    def test_telegraf_reads_topics_and_fields_that_there_are(self):
        import tomllib

        text = (bench.SHIPPED / "telegraf.conf").read_text(encoding="utf-8")
        inputs = tomllib.loads(text)["inputs"]["mqtt_consumer"]
        # The ACL lets it read each of them.
        acl = (bench.SHIPPED / "mosquitto.acl").read_text(encoding="utf-8")
        part = acl.split("user telegraf\n")[1].split("\n\n")[0]
        allowed = {line.removeprefix("topic read ") for line in part.splitlines()}
        for one in inputs:
            for topic in one["topics"]:
                self.assertIn(topic, allowed)
                for parsing in one["topic_parsing"]:
                    self.assertEqual(len(parsing["topic"].split("/")), len(topic.split("/")), topic)
                    names = parsing.get("measurement", "").split("/") + parsing["tags"].split("/")
                    self.assertIn("device", names)

    def test_the_dashboard_asks_for_what_telegraf_writes(self):
        board = json.loads((bench.SHIPPED / "grafana.json").read_text(encoding="utf-8"))
        ids = [panel["id"] for panel in board["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        telegraf = (bench.SHIPPED / "telegraf.conf").read_text(encoding="utf-8")
        taken = set()
        for panel in board["panels"]:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
            self.assertFalse(cells & taken, f"{panel['title']} lies over another")
            taken |= cells
            for target in panel["targets"]:
                self.assertIn("picket_", target["expr"], panel["title"])
                measurement = target["expr"].split("picket_")[1].split("_")[0]
                self.assertIn(f'"picket_{measurement}"', telegraf, target["expr"])


if __name__ == "__main__":
    unittest.main()
