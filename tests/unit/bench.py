#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of tests/bench: reading --timings, who a moment belongs to, the order of the runs, limits, journals."""

import math
import pathlib
import socket
import sys
import tempfile
import unittest

_TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(_TESTS / "bench"), str(_TESTS / "live")]

import costs
import measure
import programs
import timings

PRINTED = """web1  20261124t160638z-c0d4
request    2.000 ms at      1.000 ms  GET /1.0/instances/t1?project=default
printed by the command: request    2.000 ms at      1.000 ms  GET /1.0
exec      20.000 ms at     10.000 ms  sh -c echo 'exec   1.000 ms at 2.000 ms  x'
request    4.000 ms at      2.000 ms  GET /1.0
sync       0.500 ms at     40.250 ms  journal.jsonl
"""


class Timings(unittest.TestCase):
    def test_lines_of_timings_are_read_and_others_passed_over(self):
        found = costs.parse(PRINTED)
        self.assertEqual([(t.kind, t.begin, t.end) for t in found],
                         [("request", 1, 3), ("exec", 10, 30), ("request", 2, 6), ("sync", 40.25, 40.75)])
        self.assertEqual(found[0].what, "GET /1.0/instances/t1?project=default")
        self.assertEqual(costs.count(found), {"request": 2, "exec": 1, "sync": 1})

    def test_only_what_is_over_a_limit_is_in_excess(self):
        found = costs.parse(PRINTED)
        self.assertEqual(costs.excess(found, {"request": 2, "exec": 1, "sync": 1}), {})
        self.assertEqual(costs.excess(found, {"request": 1, "exec": 1, "sync": 0}), {"request": 2, "sync": 1})

    def test_a_kind_without_lines_is_counted_as_none(self):
        self.assertEqual(costs.count([]), {"request": 0, "exec": 0, "sync": 0})


class Moments(unittest.TestCase):
    def test_overlapping_intervals_count_once(self):
        self.assertEqual(timings.union([(5, 7), (1, 3), (2, 4), (7, 8), (2, 2.5), (9, 9)]), [(1, 4), (5, 8)])
        self.assertEqual(timings.length([(0, 10), (2, 3), (5, 12)]), 12)
        self.assertEqual(timings.length([]), 0)

    def test_a_moment_is_that_of_the_exec_then_of_the_daemon_then_of_the_sync(self):
        found = [costs.Timing("sync", 0, 10, ""), costs.Timing("request", 5, 20, ""), costs.Timing("exec", 8, 12, ""),
                 costs.Timing("exec", 9, 14, "")]
        self.assertEqual(timings.split(found, 30), {"exec": 6, "request": 9, "sync": 5, "belay": 10})

    def test_an_operation_is_under_way_before_it_is_waited_for(self):
        found = [costs.Timing("request", 0, 5, "POST /1.0/instances/t/snapshots"), costs.Timing("request", 6, 7, "GET /1.0"),
                 costs.Timing("request", 15, 20, "GET /1.0/operations/x/wait?timeout=60")]
        self.assertEqual(timings.split(found, 30), {"exec": 0, "request": 20, "sync": 0, "belay": 10})

    def test_the_parts_are_the_whole(self):
        parts = timings.split(costs.parse(PRINTED), 50)
        self.assertEqual(sum(parts.values()), 50)
        self.assertEqual(parts["request"], 5)


class Measure(unittest.TestCase):
    def test_both_ways_are_taken_in_turn_after_one_that_does_not_count(self):
        order = []
        a, b = measure.interleaved(3, lambda: order.append("a") or len(order), lambda: order.append("b") or len(order))
        self.assertEqual("".join(order), "ab" "ab" "ba" "ab")
        self.assertEqual((a, b), ([3, 6, 7], [4, 5, 8]))

    def test_values_are_medians(self):
        self.assertEqual(measure.ratio("x", 1, [1, 100, 3], [2, 1, 3]).value, 1.5)
        # The median of the differences, not the difference of the medians.
        self.assertEqual(measure.added("x", 1, [10, 2, 30], [1, 1, 40]).value, 1)

    def test_a_value_at_its_limit_holds(self):
        self.assertTrue(measure.Row("x", 1.05, 1.05).holds)
        self.assertFalse(measure.Row("x", 1.06, 1.05).holds)
        self.assertTrue(measure.Row("x", 0.9, 0.9, at_least=True).holds)
        self.assertFalse(measure.Row("x", 0.89, 0.9, at_least=True).holds)
        self.assertFalse(measure.Row("x", math.nan, 1).holds)

    def test_a_program_that_ends_otherwise_is_no_measurement(self):
        with tempfile.TemporaryDirectory() as folder:
            output = pathlib.Path(folder, "output")
            done = measure.program(["sh", "-c", "cat; echo out; echo err >&2; exit 3"], output, expect=3)
            self.assertEqual(done.output, b"out\nerr\n")
            self.assertGreater(done.seconds, 0)
            with self.assertRaisesRegex(measure.Failed, "3 instead of 0\nwhy"):
                measure.program(["sh", "-c", "echo why; exit 3"], output)

    def test_the_time_until_a_line_is_that_of_the_line_and_not_of_the_end(self):
        done = measure.until_line(["sh", "-c", "echo begun; echo it runs; sleep 0.5; echo it runs"], "it runs")
        self.assertLess(done.seconds, 0.4)
        for silent in ("echo begun", "echo it runs; exit 3"):
            with self.assertRaises(measure.Failed):
                measure.until_line(["sh", "-c", silent], "it runs")

    def test_the_memory_is_that_of_the_program_and_not_of_this_one(self):
        with tempfile.TemporaryDirectory() as folder:
            done = measure.program(["sleep", "0.2"], pathlib.Path(folder, "output"), watch_memory=True)
        self.assertGreater(done.peak_bytes, 100_000)
        self.assertLess(done.peak_bytes, 8_000_000)


class Sockets(unittest.TestCase):
    def test_whoever_connected_is_counted_also_when_it_is_gone(self):
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{folder}/s")
            listener.listen(10)
            listener.setblocking(False)
            self.assertEqual(programs.connections(listener), 0)
            for _ in range(2):
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(f"{folder}/s")
            self.assertEqual(programs.connections(listener), 2)


class Journals(unittest.TestCase):
    def test_the_checksums_of_a_changed_journal_are_made_anew(self):
        # The first as in tests/unit/journal; the second is the CRC-32 of the first and of its own line up to ,"sum".
        journal = b'{"v":1,"sum":"ffffffff"}\n{"v":1,"report":{"x":1,"sum":"x"},"sum":"ffffffff"}\n'
        self.assertEqual(programs.sealed(journal),
                         b'{"v":1,"sum":"f1352b6a"}\n{"v":1,"report":{"x":1,"sum":"x"},"sum":"ef8fbc40"}\n')


if __name__ == "__main__":
    unittest.main()
