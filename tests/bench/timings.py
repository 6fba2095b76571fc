# SPDX-License-Identifier: Apache-2.0
"""Where the time of a transaction goes, from the lines of --timings."""

# Each moment belongs to the first of these that was under way.
KINDS = ("exec", "request", "sync")


def union(intervals):
    """The same moments as intervals (begin, end) that do not overlap, in order."""
    merged = []
    for begin, end in sorted(intervals):
        if end <= begin:
            continue
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def length(intervals):
    """How long they are together; what overlaps counts once."""
    return sum(end - begin for begin, end in union(intervals))


def whole(timing, timings):
    """When it began and ended. An operation was under way from the end of the request that began it, also when belay did
    something else before it waited."""
    before = [one.end for one in timings if one.kind == "request" and one.end <= timing.begin and not one.what.startswith("GET ")]
    waits = timing.kind == "request" and "/wait?" in timing.what
    return (max(before) if waits and before else timing.begin), timing.end


def split(timings, wall):
    """kind -> its time, and "belay" -> the rest of `wall` (the same unit as the timings). Requests are the daemon's time."""
    times, taken = {}, []
    for kind in KINDS:
        covered = length(taken)
        taken += [whole(timing, timings) for timing in timings if timing.kind == kind]
        times[kind] = length(taken) - covered
    return times | {"belay": wall - length(taken)}
