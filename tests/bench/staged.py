"""One process against stages: the same detection with frames passed through an object store, a step for each segment."""
import hashlib
import http.client
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SEGMENT_S = 2


def cpu_of(pid_usage):
    return pid_usage.ru_utime + pid_usage.ru_stime


def run(command, **how):
    """Runs a command to its end; its processor time."""
    child = subprocess.Popen(command, stdout=how.pop("stdout", subprocess.DEVNULL), stderr=subprocess.DEVNULL, **how)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1):
        raise SystemExit(f"bench: {' '.join(map(str, command))} ended with {child.returncode}")
    return cpu_of(usage)


class Client:
    """Keeps one connection, hashes what goes and what comes."""

    def __init__(self, port):
        self.http = http.client.HTTPConnection("127.0.0.1", port)
        self.puts = self.gets = 0

    def ask(self, method, name, body=None):
        headers = {"X-SHA256": hashlib.sha256(body).hexdigest()} if body is not None else {}
        self.http.request(method, "/" + name, body=body, headers=headers)
        answer = self.http.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(f"bench: the store answered {answer.status} to {method} {name}")
        return content, answer.getheader("X-SHA256")

    def put(self, name, body):
        self.ask("PUT", name, body)
        self.puts += 1

    def get(self, name):
        body, digest = self.ask("GET", name)
        if hashlib.sha256(body).hexdigest() != digest:
            raise SystemExit(f"bench: {name} came back otherwise")
        self.gets += 1
        return body


def one_process(picket, stream, segments, work):
    return {"cpu_s": run([picket, "analyze", "--format", "ndjson", stream]), "puts": 0, "gets": 0, "steps": 0}


def split_jpegs(data):
    """JPEG files one after the other: each begins with FFD8 and ends with FFD9, which occurs nowhere else in them."""
    parts, start = [], 0
    while start < len(data):
        end = data.index(b"\xff\xd9", start) + 2
        parts.append(data[start:end])
        start = end
    return parts


def through_store(kind, picket, stream, segments, work):
    """Orchestrator, converter, store and detector; kind is 'jpeg' or 'raw'."""
    folder = work / "store"
    folder.mkdir(exist_ok=True)
    before = os.times()
    store = subprocess.Popen([sys.executable, HERE / "store.py", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    port = int(store.stdout.readline())
    client, cpu = Client(port), 0.0
    to = ["-c:v", "mjpeg", "-q:v", "3", "-f", "image2pipe"] if kind == "jpeg" else ["-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe"]
    for number, segment in enumerate(segments):
        # The converter: frames out of a segment, each an object.
        raw = work / "frames"
        with open(raw, "wb") as out:
            cpu += run(["ffmpeg", "-v", "error", "-nostdin", "-threads", "1", "-i", segment, "-an", *to, "-"], stdout=out)
        data = raw.read_bytes()
        head = b""
        if kind == "jpeg":
            parts = split_jpegs(data)
        else:
            head, _, rest = data.partition(b"\n")
            fields = {field[:1]: field[1:] for field in head.split()[1:]}
            size = len(b"FRAME\n") + int(fields[b"W"]) * int(fields[b"H"]) * 3 // 2
            parts = [rest[at:at + size] for at in range(0, len(rest), size)]
        for n, part in enumerate(parts):
            client.put(f"{number}-{n}", part)
        # The detector: the same frames out of the store, looked at by Picket.
        frames = [client.get(f"{number}-{n}") for n in range(len(parts))]
        if kind == "jpeg":
            raw.write_bytes(b"".join(frames))
            joined = work / "frames.mkv"
            cpu += run(["ffmpeg", "-v", "error", "-nostdin", "-y", "-f", "mjpeg", "-framerate", "25", "-i", raw, "-c", "copy", joined])
        else:
            joined = work / "frames.y4m"
            joined.write_bytes(head + b"\n" + b"".join(frames))
        cpu += run([picket, "analyze", "--format", "ndjson", joined])
        for n in range(len(parts)):
            client.ask("DELETE", f"{number}-{n}")
    store.stdin.close()
    _, _, usage = os.wait4(store.pid, 0)
    store.returncode = 0
    after = os.times()
    orchestrator = after.user + after.system - before.user - before.system
    return {"cpu_s": cpu + cpu_of(usage) + orchestrator, "puts": client.puts, "gets": client.gets, "steps": 2 * len(segments)}


def measure(picket, stream, work, rounds, length_s):
    """Processor seconds of all processes for each second of the stream, in interleaved rounds."""
    segments_at = work / "segment-%03d.ts"
    run(["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", stream, "-c", "copy", "-f", "segment", "-segment_time", str(SEGMENT_S), segments_at])
    segments = sorted(work.glob("segment-*.ts"))
    kinds = {
        "one process": one_process,
        "raw frames through the store": lambda *a: through_store("raw", *a),
        "JPEG frames through the store": lambda *a: through_store("jpeg", *a),
    }
    results = {name: [] for name in kinds}
    for round_ in range(rounds + 1):
        for name, kind in kinds.items():
            taken = kind(picket, stream, segments, work)
            if round_:
                results[name].append({key: value / length_s for key, value in taken.items()})
    return results


def cost(row, prices):
    """Dollars for each hour of a stream; the prices are parameters, not facts of ours."""
    hour = 3600
    return (row["cpu_s"] * prices["cpu_hour"] + row["puts"] * hour * prices["million_puts"] / 1e6
            + row["gets"] * hour * prices["million_gets"] / 1e6 + row["steps"] * hour * prices["million_steps"] / 1e6)
