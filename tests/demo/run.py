#!/usr/bin/env python3
"""The demo of `make run`: a live stream with defects planted at known times, a broker, the daemon, and its alerts as they arrive.

Everything is on loopback and in one temporary folder; nothing outlives this program. Exit code 0 when every planted defect was
reported and nothing else was, 1 when not, 3 when something could not be started, 128 + n when stopped by signal n.
"""
import argparse
import os
import queue
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import footage
import score
import sender

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE_S = 0.7  # after the last packet, for the last news; a second later its absence would be news too
TTY = sys.stdout.isatty()
COLOURS = {"critical": "31;1", "major": "31", "minor": "33", "warning": "33", "cleared": "32", "plant": "36"}


class Stop(Exception):
    """Something could not be started, or somebody pressed Ctrl-C."""

    def __init__(self, text, code=3):
        super().__init__(text)
        self.code = code


def paint(text, kind):
    return f"\033[{COLOURS[kind]}m{text}\033[0m" if TTY and kind in COLOURS else text


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def program(name):
    # Debian keeps daemons where a user's PATH does not look.
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if not found:
        raise Stop(f"{name} is not installed: run 'make setup'")
    return found


class Children:
    """What we started; ended in the reverse order, by process id."""

    def __init__(self):
        self.started = []

    def start(self, name, command, **options):
        # A session of its own: Ctrl-C reaches us alone, and we end them in order.
        try:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)
        except OSError as error:
            raise Stop(f"{command[0]} cannot be started: {error.strerror}") from error
        self.started.append((name, child))
        return child

    def end(self, child, wait_s=10):
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(wait_s)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        return child.returncode

    def end_all(self):
        for _, child in reversed(self.started):
            self.end(child, 3)


def start_broker(children, work):
    port = free_port(socket.SOCK_STREAM)
    config = work / "mosquitto.conf"
    # As root Mosquitto would change to a user that may not read this folder.
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest stderr\n" + ("user root\n" if os.geteuid() == 0 else ""))
    log = work / "mosquitto.log"
    child = children.start("mosquitto", [program("mosquitto"), "-c", str(config)], stdout=subprocess.DEVNULL, stderr=log.open("wb"))
    for _ in range(100):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return port
        if child.poll() is not None:
            break
        time.sleep(0.05)
    raise Stop(f"Mosquitto did not start:\n{log.read_text()[-500:]}")


def start_subscriber(children, port, heard):
    command = [program("mosquitto_sub"), "-h", "127.0.0.1", "-p", str(port), "-q", "1", "-F", "%t %p",
               "-t", "picket/1/+/src/+/event", "-t", "picket/1/+/status"]
    child = children.start("mosquitto_sub", command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace")

    def listen():
        for line in child.stdout:
            topic, _, payload = line.rstrip("\n").partition(" ")
            heard.put((time.time(), topic, payload))

    threading.Thread(target=listen, daemon=True).start()
    return child


def start_daemon(children, work, binary, broker_port, stream_port):
    for name in ("state", "run"):
        (work / name).mkdir(mode=0o700)
    config = work / "picket.toml"
    config.write_text(f"""[device]
site = "demo"
machine_id = "d3300000000000000000000000000001"
state_dir = "{work}/state"
runtime_dir = "{work}/run"

[broker]
url = "mqtt://127.0.0.1:{broker_port}"

# The demo's own encoder may well fill a small machine, and there is nobody else to be polite to.
[budget]
cpu = "100%"
yield_when_busy = false

[[source]]
id = "demo"
input = "udp://127.0.0.1:{stream_port}"
""")
    # The caller's own settings must not leak into the demo.
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PICKET_") and k not in ("NOTIFY_SOCKET", "WATCHDOG_USEC")}
    clean["RUST_BACKTRACE"] = "0"  # the log's last lines should be the reason
    with (work / "picket.log").open("wb") as log:
        return children.start("picket", [*binary, "run", "--config", str(config)], env=clean, stdout=log, stderr=subprocess.STDOUT)


def log_tail(work, lines=15):
    log = work / "picket.log"
    return "\n".join("    " + line for line in log.read_text(errors="replace").splitlines()[-lines:]) if log.is_file() else ""


class Screen:
    """Lines for a person: seconds since the stream began, and what happened."""

    def __init__(self, began):
        self.began = began

    def line(self, at, mark, text):
        print(f"{max(at - self.began, 0.0):6.1f} s  {mark} {text}", flush=True)

    def planting(self, p, ends):
        said = f"{p.defect} ends" if ends else f"{p.defect} begins: {p.how}"
        self.line(p.end if ends else p.start, paint("·", "plant"), paint(f"planted  {said}", "plant"))

    def event(self, heard, event):
        state, severity = event["state"], event.get("severity", "")
        kind = "cleared" if state == "cleared" else severity
        mark = {"raised": "▲", "updated": "△", "cleared": "▼"}.get(state, "?")
        what = paint(f"{state:<8} {event['source']}: {event['defect']} ({severity})", kind)
        self.line(heard, paint(mark, kind), f"{what}  {event.get('text', '')}")


def watch(stream, daemon, heard, board, screen):
    """Shows plants and events until the stream has ended and the last news is in."""
    agenda = sorted([(p.start, p, False) for p in stream.planted] + [(p.end, p, True) for p in stream.planted], key=lambda a: a[0])
    last = stream.began + stream.due[-1] + GRACE_S
    while (now := time.time()) < last:
        if daemon.poll() is not None:
            raise Stop(f"picket ended by itself with exit code {daemon.returncode}")
        if agenda and now >= agenda[0][0]:
            screen.planting(*agenda.pop(0)[1:])
            continue
        try:
            until = min(last, agenda[0][0] if agenda else last, now + 0.5)
            at, topic, payload = heard.get(timeout=max(until - now, 0.001))
        except queue.Empty:
            continue
        if topic.endswith("/event"):
            event = board.take(payload, at)
            if event:
                screen.event(at, event)
        elif topic.endswith("/status"):
            screen.line(at, " ", f"status   {topic.split('/')[2]}: {payload[:100]}")


def demo(options, children, work):
    data = footage.make(options.cache).read_bytes()
    stream_port = free_port(socket.SOCK_DGRAM)
    broker_port = start_broker(children, work)
    heard, board = queue.Queue(), score.Board()
    start_subscriber(children, broker_port, heard)
    stream = sender.Sender(data, ("127.0.0.1", stream_port))
    print(f"broker   mqtt://127.0.0.1:{broker_port}  (mosquitto_sub -p {broker_port} -v -t 'picket/1/#' shows all of it)\n"
          f"stream   udp://127.0.0.1:{stream_port}  MPEG-TS, H.264 1280x720p25 and sound, {stream.due[-1]:.0f} s in real time\n", flush=True)
    # The stream first: the daemon joins one that runs, as it would in the field.
    stream.begin()
    time.sleep(0.5)
    daemon = start_daemon(children, work, options.daemon, broker_port, stream_port)
    try:
        watch(stream, daemon, heard, board, Screen(stream.began))
    finally:
        stream.stop()
    code = children.end(daemon)
    rows, strays = score.match(stream.planted, board.incidents.values())
    if code != 0:
        board.faults.append(f"picket ended with exit code {code} when asked to stop")
    print("\n" + "\n".join(score.table(rows, strays, stream.began)))
    for fault in board.faults:
        print(f"fault: {fault}")
    good = score.verdict(rows, strays, board.faults)
    hits = sum(bool(r.incidents) for r in rows)
    print(f"\n{hits} of {len(rows)} planted defects reported, {len(strays)} false alarms: {paint('good', 'cleared') if good else paint('NOT GOOD', 'critical')}")
    if not good:
        print(f"the last lines of picket's log:\n{log_tail(work)}")
    return 0 if good else 1


def ignore_signals():
    # A second Ctrl-C must not leave children behind.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def interrupted(number, _frame):
    ignore_signals()
    raise Stop(f"stopped by {signal.Signals(number).name}", 128 + number)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--daemon", type=shlex.split, default=["target/quick/picket"], help="the program, with arguments before 'run' if it needs any")
    parser.add_argument("--cache", default="target/demo", help="where the footage is kept")
    options = parser.parse_args()
    for number in SIGNALS:
        signal.signal(number, interrupted)
    children, work = Children(), Path(tempfile.mkdtemp(prefix="picket-demo-"))
    try:
        return demo(options, children, work)
    except Stop as stop:
        print(f"\ndemo: {stop}", file=sys.stderr)
        if stop.code == 3 and (tail := log_tail(work)):
            print(f"the last lines of picket's log:\n{tail}", file=sys.stderr)
        return stop.code
    except subprocess.CalledProcessError as error:
        print(f"demo: FFmpeg could not make the footage (exit code {error.returncode})", file=sys.stderr)
        return 3
    finally:
        ignore_signals()
        children.end_all()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
