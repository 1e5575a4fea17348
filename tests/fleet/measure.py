"""A fleet of full size on this machine: what it costs the broker, and when the page is complete.

    measure.py --simulator PATH [--devices 9900] [--queue 1000] [--out FOLDER]
"""

import argparse
import json
import pathlib
import tempfile
import time

import bench
import devtools

PERIOD_S = 10
SECONDS = 150


def share(before, after, seconds):
    """Percent of a core between two looks at a process."""
    return round((after[0] - before[0]) / seconds * 100, 1)


def page_times(browser, devices):
    """Seconds from the connection to what is known, as it becomes known."""
    times, began = {}, time.monotonic()
    while time.monotonic() - began < 60 and len(times) < 3:
        state = browser.run("({ ...picket() })")
        spent = round(time.monotonic() - began, 1)
        if state["known"] >= devices:
            times.setdefault("every_verdict_s", spent)
        if state["healthy"] >= devices:
            times.setdefault("every_health_s", spent)
        if state["named"] >= devices:
            times.setdefault("every_name_s", spent)
        browser.listen(0.2)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulator", required=True)
    parser.add_argument("--devices", type=int, default=9900)
    parser.add_argument("--queue", type=int, help="max_queued_messages of the broker, in place of the shipped one")
    parser.add_argument("--out", default=tempfile.gettempdir())
    options = parser.parse_args()
    out = pathlib.Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    told = {"devices": options.devices, "period_s": PERIOD_S}
    with tempfile.TemporaryDirectory() as folder:
        broker = bench.Broker(folder, queue=options.queue)
        fleet = bench.Fleet(options.simulator, broker, devices=options.devices, period=PERIOD_S, seconds=SECONDS, scenario="storm", pictures=0.05, check=True)
        browser = None
        try:
            time.sleep(12)
            before, simulator = broker.use(), bench.use(fleet.process.pid)
            time.sleep(20)
            after = broker.use()
            told["broker"] = {"cpu_pct": share(before, after, 20), "rss_mib": round(after[1])}
            told["simulator_cpu_pct"] = share(simulator, bench.use(fleet.process.pid), 20)
            browser = devtools.Chromium(1920, 1080)
            browser.go(f"http://127.0.0.1:{broker.web}/fleet.html")
            values = json.dumps({"url": f"ws://127.0.0.1:{broker.web}", "user": "fleet-page", "password": bench.PASSWORDS["fleet-page"]})
            browser.run(f"for (const [name, value] of Object.entries({values})) document.querySelector(`[name=${{name}}]`).value = value; document.querySelector('.go').click()")
            told["page"] = page_times(browser, options.devices)
            before, first = broker.use(), browser.metrics()
            browser.listen(20)
            last = browser.metrics()
            passed = last["Timestamp"] - first["Timestamp"]
            told["broker_with_page"] = {"cpu_pct": share(before, broker.use(), passed), "rss_mib": round(broker.use()[1])}
            told["page"] |= {
                "main_thread_pct": round((last["TaskDuration"] - first["TaskDuration"]) / passed * 100, 1),
                "heap_mib": round(last["JSHeapUsedSize"] / (1 << 20)),
                "elements": int(last["Nodes"]),
                "state": browser.run("picket()"),
            }
            browser.shot(out / "measured.png")
            told["fleet"] = fleet.result(SECONDS + 60)
        finally:
            if browser:
                browser.close()
            fleet.stop()
            broker.stop()
    text = json.dumps(told, indent=1)
    (out / "measured.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
