"""What a scenario left behind, as the host reads it."""
import json
from dataclasses import dataclass
from pathlib import Path


class Wrong(Exception):
    """The scenario did not show what it has to show; the text says what was seen instead."""


class Skip(Exception):
    """The scenario cannot be judged here; the text says why. Never a pass."""


def need(condition, text):
    if not condition:
        raise Wrong(text)


@dataclass(frozen=True)
class Mark:
    """Something that the guest did, in seconds of its monotonic clock."""

    at: float
    what: str


class Seen:
    """The folder of one scenario."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def has(self, name):
        return (self.folder / name).is_file()

    def text(self, name):
        return (self.folder / name).read_text(errors="replace") if self.has(name) else ""

    def bytes(self, name):
        return (self.folder / name).read_bytes() if self.has(name) else b""

    def number(self, name):
        return int(self.text(name).split()[0])

    def marks(self, what=None):
        lines = (line.split(" ", 1) for line in self.text("marks").splitlines())
        return [m for m in (Mark(float(at), rest) for at, rest in lines) if what is None or m.what == what]

    def heard(self, ending, name="heard"):
        """Bodies of the messages whose topic ends so, in the order of their arrival."""
        lines = (line.partition(" ") for line in self.text(name).splitlines())
        return [json.loads(body) for topic, _, body in lines if topic.endswith(ending) and body.startswith("{")]

    def events(self, state=None, defect=None):
        return [e for e in self.heard("/event") if state in (None, e["state"]) and defect in (None, e["defect"])]

    def states(self):
        return self.heard("/src/cam/state")

    def counts(self):
        """The last counts of the capture that were told."""
        told = [s["capture"] for s in self.states() if "capture" in s]
        need(told, "no counts of the capture were told")
        return told[-1]

    def health(self):
        return [h["src"]["cam"] for h in self.heard("/health") if "cam" in h.get("src", {})]

    def only(self, *defects):
        """Nothing but these was told."""
        strays = sorted({e["defect"] for e in self.events("raised")} - set(defects))
        need(not strays, f"told besides: {', '.join(strays)}")

    def delays(self, state, defect):
        """Seconds from each mark "STATE DEFECT" to the event that it waits for."""
        found = []
        for mark in self.marks(f"{state} {defect}"):
            later = [e["mono_ms"] / 1000 for e in self.events(state, defect) if e["mono_ms"] / 1000 >= mark.at - 0.02]
            need(later, f"no {defect} {state} after {mark.at:.2f} s")
            found.append(later[0] - mark.at)
        need(found, f"the scenario never came to {defect} {state}")
        return found

    def ended_well(self):
        """The daemon was there to the end and went when asked."""
        need(self.text("picket.exit").strip() == "0", f"picket ended with exit code {self.text('picket.exit').strip() or '(none: it was not asked)'}")
        panics = [line for line in self.text("picket.log").splitlines() if "panicked" in line]
        need(not panics, panics[0] if panics else "")

    def driver_is_well(self):
        bad = [line for line in self.text("dmesg").splitlines() if any(word in line for word in ("BUG:", "Oops", "WARNING:", "general protection"))]
        need(not bad, f"kernel: {bad[0] if bad else ''}")
