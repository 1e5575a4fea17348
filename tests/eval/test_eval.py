"""The evaluation's own parts: what counts as found, what the labels say, what damage does to a stream. No media, no network, no Picket."""
import array
import json
import random
import unittest

import baseline
import cases
import packages
import score
import sounds
import stream

CLIP = {"id": "clip", "duration_s": 10.0, "negative": False, "labels": [], "ignore": []}


def label(defect, start, end, **more):
    return {"defect": defect, "start_s": start, "end_s": end, "variant": "", **more}


def told(defect, onset, at, end=None):
    return score.Incident(defect, at, onset, end)


def tally(labels, incidents, defect="black", **case):
    case = CLIP | {"labels": labels} | case
    return score.judge([case], {"clip": incidents}).get(defect, score.Tally())


class Matching(unittest.TestCase):
    def test_a_hit_has_latency_and_onset_error(self):
        t = tally([label("black", 3, 6)], [told("black", 3.1, 4.2, 6.0)])
        self.assertEqual((t.labels, t.hits, t.false), (1, 1, 0))
        self.assertAlmostEqual(t.latency[0], 1.2)
        self.assertAlmostEqual(t.onset[0], 0.1)
        self.assertEqual(t.f1(), 1.0)

    def test_the_onset_alone_is_enough_where_the_overlap_is_poor(self):
        self.assertEqual(tally([label("black", 3, 3.5)], [told("black", 3.9, 4.2, 9.0)]).hits, 1)
        self.assertEqual(tally([label("black", 3, 9)], [told("black", 6.5, 7, 9.0)]).hits, 1, "a third and more of the union")
        missed = tally([label("black", 3, 9)], [told("black", 7.6, 8, 9.0)])
        self.assertEqual((missed.hits, missed.false), (0, 1))

    def test_another_defect_or_time_is_false(self):
        self.assertEqual(tally([label("black", 3, 6)], [told("freeze", 3, 5, 6.0)]).hits, 0)
        self.assertEqual(tally([label("black", 3, 6)], [told("freeze", 3, 5, 6.0)], "freeze").false, 1)
        self.assertEqual(tally([label("black", 1, 2)], [told("black", 8, 9, 9.5)]).false, 1)

    def test_one_incident_answers_one_label(self):
        t = tally([label("freeze", 1, 2), label("freeze", 6, 7)], [told("freeze", 1, 2, 2.0)], "freeze")
        self.assertEqual((t.labels, t.hits), (2, 1))

    def test_a_label_under_a_neighbours_incident_is_a_hit_without_times(self):
        t = tally([label("block_corruption", 1, 2), label("block_corruption", 3, 4)], [told("block_corruption", 1, 1.3, 4.0)], "block_corruption")
        self.assertEqual((t.hits, len(t.latency)), (2, 1))

    def test_a_second_incident_over_a_matched_label_is_a_fragment(self):
        t = tally([label("freeze", 2, 8)], [told("freeze", 2, 3, 5.0), told("freeze", 6, 7, 8.0)], "freeze")
        self.assertEqual((t.hits, t.false, t.fragments), (1, 0, 1))

    def test_ignored_spans_and_the_end_of_the_file(self):
        spans = {"ignore": [{"defect": "freeze", "start_s": 2.5, "end_s": 8.0}]}
        self.assertEqual(tally([], [told("freeze", 3, 5, 9.5)], "freeze", **spans).false, 0)
        self.assertEqual(tally([], [told("freeze", 6, 7, 9.9)], "freeze", **spans).false, 0)
        self.assertEqual(tally([], [told("freeze", 7, 8, None)], "freeze", **spans).false, 1, "less than half of it lies in the span")
        self.assertEqual(tally([], [told("black", 3, 5, 7.0)], "black", **spans).false, 1)
        self.assertEqual(tally([], [told("black", 9.9, 9.95)], "black").false, 0)

    def test_a_jump_may_be_told_on_either_clock(self):
        jump = label("timestamp", 4, 4, alt_start_s=14.0)
        for onset in (4.0, 14.0):
            t = tally([jump], [told("timestamp", onset, onset + 0.1, onset)], "timestamp", duration_s=20.0)
            self.assertEqual((t.hits, round(t.latency[0], 3)), (1, 0.1))

    def test_false_alarms_of_negatives_are_counted_per_hour(self):
        negative = CLIP | {"id": "n", "negative": True, "duration_s": 36.0}
        figures = score.Score.of([negative], {"n": [told("black", 3, 4, 6.0)]})
        self.assertEqual(figures.per_hour(), 100.0)
        self.assertEqual(figures.macro_f1(), 0.0)


class Reading(unittest.TestCase):
    def event(self, state, **more):
        return json.dumps({"type": "incident", "state": state, "id": "1", "defect": "black", "at_s": 4.0} | more)

    def test_raised_and_cleared_are_one_incident(self):
        lines = [self.event("raised", onset_s=3.0), self.event("updated", at_s=5.0), self.event("cleared", at_s=6.5, end_s=6.0), '{"type":"summary"}', "not JSON"]
        self.assertEqual(score.incidents(lines), [score.Incident("black", 4.0, 3.0, 6.0, "")])

    def test_the_end_of_the_input_clears_nothing(self):
        lines = [self.event("raised"), self.event("cleared", at_s=6.5, end_s=6.0, cleared_by="end_of_input")]
        self.assertEqual(score.incidents(lines), [score.Incident("black", 4.0, 4.0, None, "")])

    def test_transport_indicators_are_left_alone(self):
        self.assertEqual(score.incidents([self.event("raised", defect="ts_pcr")]), [])


class Floors(unittest.TestCase):
    def test_a_broken_floor_and_one_that_nobody_measured(self):
        figures = score.Score.of([CLIP | {"labels": [label("black", 1, 3), label("black", 6, 8), label("noise", 4, 5)]}], {"clip": []})
        bad, unmeasured = score.broken(figures, {"f1": {"black": 0.5, "blur": 0.5, "noise": 0.5}, "false_clean": {"black": 0}})
        self.assertEqual((len(bad), len(unmeasured)), (1, 2))
        self.assertIn("black", bad[0])
        self.assertIn("blur", unmeasured[0])

    def test_the_table_has_both_columns(self):
        figures = score.Score.of([CLIP | {"labels": [label("black", 3, 6)]}], {"clip": [told("black", 3, 4, 6.0)]})
        self.assertIn("| `black` | 1 | 1 | 0 | 1.00 | 1.00 | 1.00 | 1.00 | 0.00 | 0 | 1 | 0 | 1.00 |", score.table(figures, figures))


class Plans(unittest.TestCase):
    def test_every_row_makes_the_same_clip_twice(self):
        for row in cases.rows(full=True, times=1):
            first, second = cases.plan(row), cases.plan(row)
            self.assertEqual((first.graph(), first.labels, first.ignore), (second.graph(), second.labels, second.ignore), row[0])

    def test_labels_lie_in_their_clips_and_on_pictures(self):
        for row in cases.rows(full=True, times=2):
            clip = cases.plan(row)
            self.assertFalse(clip.negative and clip.labels, row[0])
            for lab in clip.labels:
                self.assertLessEqual(0.5, lab["start_s"], row[0])
                self.assertLessEqual(lab["end_s"], clip.seconds, row[0])
                if lab["defect"] not in ("silence", "channel_loss", "clipping", "phase", "loudness", "audio_dropout", "av_sync"):
                    self.assertAlmostEqual(lab["start_s"] * clip.fps % 1 - 0.5, 0.5 if lab["start_s"] * clip.fps % 1 > 0.5 else -0.5, delta=0.02, msg=row[0])

    def test_names_are_unique(self):
        names = [cases.plan(row).id for row in cases.rows(full=True, times=2)]
        self.assertEqual(len(names), len(set(names)))

    def test_every_defect_of_the_catalogue_is_planted(self):
        families = {cases.plan(row).family for row in cases.SMALL} - {"negative"}
        self.assertEqual(len(families), 24)

    def test_footage_is_pinned(self):
        for package in packages.PACKAGES.values():
            self.assertRegex(package.sha256, "^[0-9a-f]{64}$")
            self.assertTrue(package.licence and package.version)


def packet(pid, counter=0, pts=None, kind=0xE0):
    """A packet of a unit's middle, or one that begins a unit with a PTS and a PCR."""
    if pts is None:
        return bytes([0x47, pid >> 8, pid & 0xFF, 0x10 | counter]) + bytes(range(184))
    head = bytearray([0x47, 0x40 | pid >> 8, pid & 0xFF, 0x30 | counter, 7, 0x10]) + (pts >> 1).to_bytes(4, "big") + bytes([pts << 7 & 0x80 | 0x7E, 0])
    unit = bytearray(b"\0\0\1") + bytes([kind, 0, 0, 0x80, 0x80, 5, 0x21, 0, 1, 0, 1])
    stream.write_stamp(unit, 9, pts)
    return bytes(head + unit + bytes(188 - len(head) - len(unit)))


def small_stream(units=20, step=9000):
    out = b""
    for n in range(units):
        out += packet(256, 0, 90_000 + n * step) + b"".join(packet(256, i + 1) for i in range(9)) + packet(257, 0, 90_000 + n * step, 0xC0)
    return out


class Streams(unittest.TestCase):
    def test_lost_packets_are_of_the_picture_and_never_begin_one(self):
        data = small_stream()
        left = stream.split(stream.lose(data, 0.5, 1.0, 0.5, random.Random(1)))
        self.assertLess(len(left), 220)
        self.assertEqual(sum(bool(p[1] & 0x40) for p in left), 40)
        self.assertEqual(stream.lose(data, 5, 6, 0.5, random.Random(1)), data)

    def test_flipped_bits_keep_length_and_headers(self):
        data = small_stream()
        bent = stream.flip(data, 0.5, 1.5, 0.5, random.Random(1))
        self.assertEqual(len(bent), len(data))
        self.assertNotEqual(bent, data)
        self.assertTrue(all(a[:4] == b[:4] for a, b in zip(stream.split(data), stream.split(bent))))

    def test_cut_out_by_kind(self):
        data = small_stream()
        for which, left in (("all", 165), ("video", 170), ("audio", 215)):
            self.assertEqual(len(stream.split(stream.cut_out(data, 0.5, 1.0, which))), left, which)

    def test_clocks_move_and_wrap(self):
        data = small_stream()
        moved = stream.times(stream.split(stream.move_clocks(data, 1.0, 8.0)))[2]
        self.assertAlmostEqual(moved[0], 0.0)
        self.assertAlmostEqual(max(moved), 1.9 + 8.0)
        wrapped = stream.split(stream.move_clocks(data, 0.0, -2.0))
        self.assertEqual(stream.read_stamp(wrapped[0], 12 + 9), stream.WRAP - 90_000)
        self.assertEqual(stream.read_stamp(wrapped[110], 12 + 9), 0)

    def test_a_signalled_jump_says_so_once_per_stream(self):
        told_so = [p for p in stream.split(stream.move_clocks(small_stream(), 1.0, 8.0, signalled=True)) if p[3] & 0x20 and p[5] & 0x80]
        self.assertEqual(len(told_so), 2)

    def test_joined_streams_count_on(self):
        packets = stream.split(stream.join(small_stream(3), small_stream(3)))
        counters = [p[3] & 15 for p in packets if stream.ts.pid(p) == 256]
        self.assertTrue(all((b - a) % 16 == 1 for a, b in zip(counters, counters[1:])))

    def test_stretches_join_where_they_are_near(self):
        shares = [0, 0, 0.1, 0, 0.3] + [0] * 20 + [0.2]
        self.assertEqual(stream.stretches(shares, 25, 0.05), [(0.08, 0.2, 0.3), (1.0, 1.04, 0.2)])


class Sounds(unittest.TestCase):
    def setUp(self):
        self.samples = array.array("h", (((n * 37) % 2001) - 1000 for n in range(2 * sounds.RATE)))

    def test_silence_of_one_channel(self):
        sounds.silence(self.samples, 0.25, 0.5, channels=(1,))
        a, b = sounds.span(self.samples, 0.25, 0.5)
        self.assertEqual(set(self.samples[a + 1:b:2]), {0})
        self.assertNotEqual(set(self.samples[a:b:2]), {0})
        self.assertNotEqual(self.samples[b + 1], 0)

    def test_a_floor_has_its_level(self):
        sounds.silence(self.samples, 0.0, 1.0, floor_dbfs=-60)
        power = sum(v * v for v in self.samples) / len(self.samples)
        self.assertAlmostEqual(power ** 0.5 / sounds.FULL, 0.001, delta=0.00005)

    def test_overdrive_stops_at_its_ceiling(self):
        sounds.overdrive(self.samples, 0.0, 1.0, 40, 0.9)
        self.assertEqual(max(self.samples), int(sounds.FULL * 0.9))

    def test_stuck_repeats_what_was_before(self):
        before = self.samples[2 * 4800 - 2 * 576:2 * 4800]
        sounds.stuck(self.samples, 0.1, 0.15)
        self.assertEqual(self.samples[9600:9600 + len(before)], before)

    def test_inverted_mono_cancels(self):
        sounds.to_mono(self.samples)
        sounds.invert(self.samples, 0.5, 0.75)
        a, b = sounds.span(self.samples, 0.5, 0.75)
        self.assertEqual({x + y for x, y in zip(self.samples[a:b:2], self.samples[a + 1:b:2])}, {0})


class Baseline(unittest.TestCase):
    def test_measures_are_read(self):
        frame = baseline.FRAME.match("[Parsed_metadata_8 @ 0x55d] frame:12   pts:172800  pts_time:1.92")
        self.assertEqual((frame[1], float(frame[2])), ("", 1.92))
        self.assertEqual(baseline.VALUE.match("[Parsed_ametadata_4 @ 0x55d] lavfi.astats.1.RMS_level=-23.1").groups(), ("astats.1.RMS_level", "-23.1"))
        self.assertTrue(baseline.COMPLAINT.match("[h264 @ 0x55d] error while decoding MB 12 3, bytestream 77"))

    def test_far_above_the_usual_is_not_taken_into_it(self):
        past = [1.0] * 30
        self.assertTrue(baseline.Judge.unlike(past, 2.0, 1.5))
        self.assertFalse(baseline.Judge.unlike(past, 1.2, 1.5))
        self.assertEqual(len(past), 31)


if __name__ == "__main__":
    unittest.main()
