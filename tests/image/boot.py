#!/usr/bin/env python3
"""Starts the appliance in an emulator, with a broker on loopback, and shows what it publishes, until Ctrl-C.

    tests/image/boot.py --image target/image/picket-qemu-arm64-dev-0.1.0
"""
import argparse
import json
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import box as boxes  # noqa: E402
import broker as brokers  # noqa: E402
import emulator  # noqa: E402
import scenarios  # noqa: E402
from packages import Unavailable  # noqa: E402


def show(broker, box, out):
    """Each message as one line; pictures go to files."""
    at = 0
    while box.is_on():
        with broker.lock:
            rows, at = broker.seen[at:], len(broker.seen)
        for _, topic, payload in rows:
            if topic.startswith("picket-img/"):
                (out / "last.jpg").write_bytes(payload)
                print(f"{topic}: {len(payload)} bytes, now in {out / 'last.jpg'}")
            elif payload:
                print(f"{topic}: {json.dumps(json.loads(payload))[:300]}")
        sys.stdout.flush()
        time.sleep(0.5)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("target/image/cache"))
    parser.add_argument("--out", type=Path, default=Path("target/image/boot"))
    parser.add_argument("--settings", type=Path, help="a picket.toml of your own, in place of one source on the test driver")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        machine = emulator.get(options.cache)
        boxes.own_network()
    except (Unavailable, boxes.Failed) as error:
        print(f"boot: {error}", file=sys.stderr)
        return 3
    broker = brokers.Broker(options.out / "broker")
    box = boxes.Box(machine, options.image / "disk.img", options.out)
    box.card_put("picket.toml", options.settings.read_text() if options.settings else scenarios.SETTINGS)
    print(f"starting; the console goes to {options.out}/console-1.log; a minute or two to `online`", flush=True)
    try:
        box.on()
        show(broker, box, options.out)
    except KeyboardInterrupt:
        pass
    finally:
        box.cut()
        broker.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
