"""What Picket's outbox holds on the disk of a box that is off: the witness of what was raised before the plug was pulled (src/outbox/record.rs)."""
import json
import os
import shutil
import struct
import subprocess
import zlib

from box import Failed
from broker import program

MAGIC = b"picket1\n"
FOLDER = "/var/lib/picket/outbox"
# Messages to be sent, and those written again when their incident had ended; numbers that are not sent any more.
SENT, DROPPED = (1, 2), 4
SPARSE_BLOCK = 1 << 20


def copy_sparse(source, at, target):
    """All of `source` from byte `at` on, holes left out."""
    with open(source, "rb") as disk, open(target, "wb") as out:
        disk.seek(at)
        while block := disk.read(SPARSE_BLOCK):
            if block.strip(b"\0"):
                out.write(block)
            else:
                out.seek(len(block), os.SEEK_CUR)
        out.truncate()


def records(content):
    """(kind, body) of a segment's records, up to the first damaged one, as Picket itself reads them."""
    at = len(MAGIC) if content.startswith(MAGIC) else len(content)
    while at + 8 <= len(content):
        length, crc = struct.unpack_from("<II", content, at)
        fields = content[at + 8:at + 8 + length]
        if len(fields) < length or zlib.crc32(content[at:at + 4] + fields) != crc:
            return
        rest = 3 + 4 * 8
        for _ in range(3):
            rest += 2 + struct.unpack_from("<H", fields, rest)[0]
        yield fields[0], fields[rest:]
        at += 8 + length


def events(disk, offset, folder):
    """The bodies of the events in the outbox of the ext4 partition at `offset` of `disk`. Its journal is replayed first, in a copy, as a start would."""
    part, out = folder / "data.ext4", folder / "outbox"
    shutil.rmtree(out, ignore_errors=True)
    copy_sparse(disk, offset, part)
    done = subprocess.run([program("e2fsck"), "-p", str(part)], capture_output=True, text=True, check=False)
    if done.returncode > 1:
        raise Failed(f"the data partition has damage that its journal does not mend: {done.stdout}{done.stderr}")
    subprocess.run([program("debugfs"), "-R", f"rdump {FOLDER} {folder}", str(part)], capture_output=True, check=True)
    part.unlink()
    # Debugfs ends well without it, and a witness that saw nothing is none.
    if not out.is_dir():
        raise Failed(f"the data partition has no {FOLDER}")
    rows = [row for segment in sorted(out.glob("log-*")) for row in records(segment.read_bytes())]
    dropped = {number for kind, body in rows if kind == DROPPED for number, in struct.iter_unpack("<Q", body)}
    bodies = [json.loads(body) for kind, body in rows if kind in SENT]
    return [body for body in bodies if "defect" in body and body["seq"] not in dropped]
