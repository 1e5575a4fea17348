"""The demo's own parts, without a stream: what counts as reported, clocks, packets."""
import json
import unittest

import footage
import score
import ts
from sender import Planted


def event(state, name, defect, at, **more):
    stamp = score.datetime.fromtimestamp(at, score.datetime.now().astimezone().tzinfo).isoformat(timespec="milliseconds")
    return json.dumps({"v": 0, "type": "incident", "state": state, "id": name, "source": "demo", "defect": defect, "severity": "major", "onset_ts": stamp, **more})


class Scoring(unittest.TestCase):
    planted = [Planted("black", 100.0, 106.0, ""), Planted("silence", 120.0, 127.0, "")]

    def judged(self, *events):
        board = score.Board()
        for payload, heard in events:
            board.take(payload, heard)
        rows, strays = score.match(self.planted, board.incidents.values())
        return rows, strays, score.verdict(rows, strays, board.faults)

    def test_all_reported(self):
        rows, strays, good = self.judged((event("raised", "1", "black", 100.1), 100.8), (event("cleared", "1", "black", 100.1), 106.6),
                                         (event("raised", "2", "silence", 120.2), 122.3))
        self.assertTrue(good)
        self.assertEqual(strays, [])
        self.assertAlmostEqual(rows[0].incidents[0].onset - 100.0, 0.1, places=3)
        text = "\n".join(score.table(rows, strays, 90.0))
        self.assertIn("+0.10 s", text)
        self.assertIn("not cleared", text)

    def test_missed(self):
        rows, strays, good = self.judged((event("raised", "1", "black", 100.1), 100.8))
        self.assertFalse(good)
        self.assertIn("MISSED", "\n".join(score.table(rows, strays, 90.0)))

    def test_another_defect_is_a_false_alarm(self):
        reported = [(event("raised", "1", "black", 100.1), 100.8), (event("raised", "2", "silence", 120.2), 122.3)]
        self.assertTrue(self.judged(*reported)[2])
        for stray in (event("raised", "3", "freeze", 101.0), event("raised", "3", "black", 111.0)):
            rows, strays, good = self.judged(*reported, (stray, 112.0))
            self.assertFalse(good)
            self.assertIn("FALSE ALARM", "\n".join(score.table(rows, strays, 90.0)))

    def test_a_second_incident_of_one_defect_is_no_false_alarm(self):
        rows, _, good = self.judged((event("raised", "1", "black", 100.1), 100.8), (event("raised", "3", "black", 103.0), 103.9),
                                    (event("raised", "2", "silence", 120.2), 122.3))
        self.assertTrue(good)
        self.assertIn("(2 incidents)", "\n".join(score.table(rows, [], 90.0)))

    def test_an_unreadable_event_is_a_fault(self):
        self.assertFalse(self.judged((event("raised", "1", "black", 100.1), 100.8), (event("raised", "2", "silence", 120.2), 122.3), ("{", 123.0))[2])


class Stream(unittest.TestCase):
    def test_clock_and_pts(self):
        base = 90_000 * 30_000  # past 32 bits
        clock = bytes([0x47, 0x41, 0x00, 0x30, 7, 0x50, base >> 25 & 255, base >> 17 & 255, base >> 9 & 255, base >> 1 & 255, (base & 1) << 7 | 0x7E, 0])
        pts = bytes([0, 0, 1, 0xE0, 0, 0, 0x80, 0x80, 5, 0x21 | base >> 29 & 14, base >> 22 & 255, base >> 14 & 254 | 1, base >> 7 & 255, base << 1 & 254 | 1])
        packet = (clock + pts).ljust(ts.PACKET, b"\xff")
        self.assertEqual(ts.pid(packet), 0x100)
        self.assertTrue(ts.starts_unit(packet) and ts.random_access(packet))
        self.assertEqual(ts.pcr(packet), 30_000.0)
        self.assertEqual(ts.pes(packet), (0xE0, 30_000.0))

    def test_plants_leave_time_to_recover(self):
        # What the daemon needs to clear one defect before the next begins; the stream is lost and resumes at an IDR picture.
        for before, after in zip(footage.PLANTS, footage.PLANTS[1:]):
            self.assertGreaterEqual(after.start - before.end, 3.0)
        loss = footage.plant("stream_loss")
        self.assertEqual(loss.start % footage.GOP_S, 0)
        self.assertEqual(footage.plant("block_corruption").end % footage.GOP_S, 0)
        self.assertGreater(footage.LENGTH_S, loss.start + 3.0)


if __name__ == "__main__":
    unittest.main()
