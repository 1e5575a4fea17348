"""Sound files for the guest."""
import math
import struct
import wave

RATE_HZ = 48_000
LENGTH_S = 60
LEVEL = 8_000  # of 32767: -12 dBFS


def write(path, hertz):
    """A minute of a tone on both channels; of nothing where there is no pitch."""
    # One second of whole periods, repeated.
    samples = (round(LEVEL * math.sin(2 * math.pi * hertz * n / RATE_HZ)) if hertz else 0 for n in range(RATE_HZ))
    second = b"".join(struct.pack("<hh", s, s) for s in samples)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        for _ in range(LENGTH_S):
            file.writeframes(second)
