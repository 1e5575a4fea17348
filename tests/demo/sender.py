"""Sends a transport stream over UDP in real time, by its own clock, with a pause where the stream is to be lost."""
import socket
import threading
import time
from dataclasses import dataclass

import footage
import ts

DATAGRAM = 7  # packets: what fits an Ethernet frame, as every encoder sends


@dataclass(frozen=True)
class Planted:
    """A planted defect on the wall clock: when its first and its last packet leave."""

    defect: str
    start: float
    end: float
    how: str


class Sender(threading.Thread):
    """Begins at `begin()`; `planted` is known from then on."""

    def __init__(self, data, address, plants=footage.PLANTS):
        super().__init__(daemon=True)
        self.data, self.address = data, address
        self.packets = len(data) // ts.PACKET
        self.stopping = threading.Event()
        self.began = None
        index = ts.Index(data)
        due = index.due(self.packets)
        loss = footage.plant("stream_loss", plants)
        pause_at = index.key_at(loss.start)
        pause = loss.end - loss.start
        self.due = due[:pause_at] + [t + pause for t in due[pause_at:]]
        self.offsets = []
        for p in plants:
            if p is loss:
                start = due[pause_at]
                end = start + pause
            else:
                sound = p.defect == "silence"
                start, end = (self.due[index.packet_at(at, sound)] for at in (p.start, p.end))
            self.offsets.append(Planted(p.defect, start, end, p.how))

    @property
    def planted(self):
        return [Planted(p.defect, self.began + p.start, self.began + p.end, p.how) for p in self.offsets]

    def begin(self):
        self.began = time.time()
        self.start()

    def run(self):
        zero = time.monotonic() - (time.time() - self.began)
        # Unconnected, so that a receiver that is not there yet is no error.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            for i in range(0, self.packets, DATAGRAM):
                wait = zero + self.due[i] - time.monotonic()
                if wait > 0.002 and self.stopping.wait(wait):
                    return
                out.sendto(self.data[i * ts.PACKET:(i + DATAGRAM) * ts.PACKET], self.address)

    def stop(self):
        self.stopping.set()
