"""As much of MPEG-TS as the demo needs: PIDs, clocks, where pictures begin."""
from bisect import bisect_right

PACKET = 188
CLOCK = 90_000


def pid(packet):
    return (packet[1] & 0x1F) << 8 | packet[2]


def starts_unit(packet):
    return bool(packet[1] & 0x40)


def payload_start(packet):
    """Offset of the payload; the packet's length where there is none."""
    control = packet[3] >> 4 & 3
    if control == 1:
        return 4
    return min(5 + packet[4], PACKET) if control == 3 else PACKET


def pcr(packet):
    """The clock in seconds, where the packet carries it."""
    if packet[3] >> 4 & 2 and packet[4] >= 7 and packet[5] & 0x10:
        base = int.from_bytes(packet[6:10], "big") << 1 | packet[10] >> 7
        return base / CLOCK
    return None


def random_access(packet):
    return bool(packet[3] >> 4 & 2 and packet[4] >= 1 and packet[5] & 0x40)


def pes(packet):
    """(stream id, PTS in seconds) where a unit with a PTS begins in this packet."""
    at = payload_start(packet)
    unit = packet[at:at + 14]
    if not starts_unit(packet) or len(unit) < 14 or unit[:3] != b"\0\0\1" or not unit[7] & 0x80:
        return None
    pts = (unit[9] >> 1 & 7) << 30 | unit[10] << 22 | (unit[11] >> 1) << 15 | unit[12] << 7 | unit[13] >> 1
    return unit[3], pts / CLOCK


class Index:
    """Where each picture and each block of sound begins, and when each packet is due."""

    def __init__(self, data):
        self.video, self.audio, self.clock, self.keys = [], [], [], []
        self.video_pid = None
        for i in range(len(data) // PACKET):
            packet = data[i * PACKET:(i + 1) * PACKET]
            if packet[0] != 0x47:
                raise ValueError(f"packet {i} does not begin with a sync byte")
            now = pcr(packet)
            if now is not None:
                self.clock.append((i, now))
            unit = pes(packet)
            if unit and 0xE0 <= unit[0] <= 0xEF:
                self.video_pid = pid(packet)
                self.video.append((i, unit[1]))
                if random_access(packet):
                    self.keys.append(i)
            elif unit and 0xC0 <= unit[0] <= 0xDF:
                self.audio.append((i, unit[1]))
        self.first_pts = self.video[0][1]
        self.video_starts = [i for i, _ in self.video]

    def picture(self, packet):
        return max(bisect_right(self.video_starts, packet) - 1, 0)

    def footage_time(self, packet):
        """Footage time of the picture to which this place in the stream belongs."""
        return self.video[self.picture(packet)][1] - self.first_pts

    def packet_at(self, footage_s, sound=False):
        """The packet in which the picture (or the block of sound) of this footage time begins."""
        units = self.audio if sound else self.video
        due = self.first_pts + footage_s + 0.001
        return units[max(bisect_right(units, due, key=lambda unit: unit[1]) - 1, 0)][0]

    def key_at(self, footage_s):
        """The packet in which the nearest picture that decodes by itself begins."""
        wanted = self.packet_at(footage_s)
        return min(self.keys, key=lambda i: abs(i - wanted))

    def due(self, packets):
        """Seconds after the first clock at which each packet is due: clocks as they stand, packets evenly between them."""
        times = [0.0] * packets
        start = self.clock[0][1]
        for (a, now), (b, later) in zip(self.clock, self.clock[1:]):
            for i in range(a, b):
                times[i] = now - start + (later - now) * (i - a) / (b - a)
        last, now = self.clock[-1]
        for i in range(last, packets):
            times[i] = now - start
        return times
