"""Planted against reported: pure, so that it is tested without a stream."""
import json
from dataclasses import dataclass
from datetime import datetime

EARLY_S = 2.0  # an onset may be estimated this much before the defect's first packet
LATE_S = 2.0  # and an alert may begin this long after its last one: decoding and hold times


@dataclass
class Incident:
    """What the device said of one incident, with the times at which we heard it."""

    id: str
    defect: str
    severity: str
    onset: float
    heard: float
    cleared: float | None = None


def seconds(stamp):
    return datetime.fromisoformat(stamp).timestamp()


class Board:
    """Takes events as they arrive."""

    def __init__(self):
        self.incidents = {}
        self.faults = []

    def take(self, payload, heard):
        """One event; its fields for showing, or None where it is not one."""
        try:
            event = json.loads(payload)
            if event["type"] != "incident":
                return None
            state, name = event["state"], event["id"]
            if state == "raised" and name not in self.incidents:
                onset = seconds(event["onset_ts"]) if "onset_ts" in event else heard
                self.incidents[name] = Incident(name, event["defect"], event.get("severity", ""), onset, heard)
            elif state == "cleared" and name in self.incidents:
                self.incidents[name].cleared = heard
            return event
        except (KeyError, TypeError, ValueError) as error:
            self.faults.append(f"an event that cannot be read ({error!r}): {payload[:200]}")
            return None


@dataclass
class Row:
    """One planted defect and the incidents that answer to it."""

    planted: object
    incidents: list


def match(planted, incidents):
    """(a row for each planted defect, incidents that answer to none)."""
    rows = [Row(p, []) for p in planted]
    strays = []
    for incident in sorted(incidents, key=lambda i: i.heard):
        answered = [r for r in rows if r.planted.defect == incident.defect and r.planted.start - EARLY_S <= incident.onset <= r.planted.end + LATE_S]
        (answered[0].incidents if answered else strays).append(incident)
    return rows, strays


def verdict(rows, strays, faults):
    return all(r.incidents for r in rows) and not strays and not faults


def table(rows, strays, began):
    """The closing table, as lines."""
    lines = [f"{'planted':<18}{'from':>7}{'to':>7}   {'reported':<10}{'onset off by':>13}{'alert after':>13}{'clear after':>13}",
             "-" * 81]
    for r in rows:
        p = r.planted
        head = f"{p.defect:<18}{p.start - began:>6.1f}s{p.end - began:>6.1f}s   "
        if not r.incidents:
            lines.append(head + "MISSED")
            continue
        first, last = r.incidents[0], r.incidents[-1]
        clear = f"{last.cleared - p.end:>+11.2f} s" if last.cleared else f"{'not cleared':>13}"
        more = f"   ({len(r.incidents)} incidents)" if len(r.incidents) > 1 else ""
        lines.append(f"{head}{'yes':<10}{first.onset - p.start:>+11.2f} s{first.heard - p.start:>11.2f} s{clear}{more}")
    for s in strays:
        lines.append(f"{'(nothing)':<18}{s.onset - began:>6.1f}s{'':>7}   FALSE ALARM: {s.defect}")
    return lines
