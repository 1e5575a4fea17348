"""Courses of a whole fleet, checked by the simulator's ledger: each gap in `seq` explained, what is kept as devices are."""

import os
import tempfile
import time
import unittest

import bench

SIMULATOR = os.environ.get("PICKET_FLEET_SIM", str(bench.ROOT / "target/debug/picket-fleet-sim"))
DEVICES = int(os.environ.get("PICKET_FLEET_DEVICES", "500"))


class Courses(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.broker = bench.Broker(self.folder.name)
        self.fleet = None

    def tearDown(self):
        if self.fleet:
            self.fleet.stop()
        self.broker.stop()
        self.folder.cleanup()

    def run_fleet(self, scenario, seconds, during=None, **options):
        settings = {"devices": DEVICES, "period": 5, "incident_every": 60, "pictures": 0} | options
        self.fleet = bench.Fleet(SIMULATOR, self.broker, scenario=scenario, seconds=seconds, check=True, **settings)
        if during:
            during()
        told = self.fleet.result(seconds + 60)
        self.assertTrue(told["all_sent"])
        check = told["check"]
        self.assertEqual((check["unexplained"], check["out_of_order"], check["unlike_the_model"]), (0, 0, 0))
        self.assertGreater(check["events_heard"], DEVICES // 10)
        return check

    def test_a_slow_reader_stops_nobody(self):
        check = self.run_fleet("slow-reader", 25)
        self.assertEqual(check["missing"], 0)

    def test_what_a_broker_forgot_is_back_within_5_s(self):
        def restart():
            time.sleep(10)
            self.broker.stop()
            time.sleep(2)
            self.broker.start()

        check = self.run_fleet("broker-restart", 25, restart, connections=DEVICES, pictures=0)
        self.assertEqual((check["broker_returns"], check["missing"]), (1, 0))
        self.assertLess(check["kept_back_s"], 5)

    def test_five_copied_cards_harm_no_others_and_are_seen(self):
        check = self.run_fleet("clones", 40, connections=DEVICES)
        self.assertEqual((check["ids_of_two"], check["missing"]), (5, 0))

    def test_clocks_that_are_not_set_say_so(self):
        check = self.run_fleet("steady", 15)
        # One in a hundred.
        self.assertGreaterEqual(check["unsynced_heard"], DEVICES // 500)


if __name__ == "__main__":
    unittest.main()
