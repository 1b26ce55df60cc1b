"""The figures of a run of tests/bench/compare as markdown."""

import goals

GUARANTEES = {"equal": "equal guarantees", "default": "our defaults beside rsync --fsync"}


def _head(facts, arguments):
    scale = "" if arguments.scale == 1 else " --scale %g" % arguments.scale
    rows = ",".join(workload.name for workload in arguments.rows)
    lines = ["# Benchmarks", "",
             "Made by `tests/bench/compare --runs %d%s%s --only %s` on %s: Linux %s, %d cores (%s), %s, %s. Medians; contenders take turns." % (
                 arguments.runs, scale, " --fs " + arguments.fs if arguments.fs else "", rows, facts["date"], facts["kernel"],
                 facts["cores"], facts["cpu"], facts["file_system"], facts["rsync"]),
             "Local contenders are set against local rsync, agents (TLS 1.3, mutual) against rsync's daemon on loopback (no TLS); above 1.0"
             " is faster. Equal guarantees: uringsync with `--durability=none`, rsync `-aHAX`; defaults: uringsync as it is, rsync with"
             " `--fsync`. CPU is user and system time of all processes together; memory is the peak resident size of each process.", ""]
    lines += ["Skipped: %s: %s." % (name, reason) for name, reason in facts["skipped"]]
    return lines + ([""] if facts["skipped"] else [])


def _table(workload):
    unit = workload["results"][0]["unit"]
    lines = ["| | seconds | fastest – slowest | × rival | CPU s | CPU s per %s | peak memory, MiB |" % unit,
             "|---|---:|---:|---:|---:|---:|---|"]
    wire = any(result["wire_bytes"] for result in workload["results"])
    if wire:
        lines = [lines[0] + " bytes on the wire |", lines[1] + "---:|"]
    for result in workload["results"]:
        ratio = "%.2f" % result["times_faster_than_rival"] if result["times_faster_than_rival"] else ""
        peaks = ", ".join("%s %d" % (p["process"], -(-p["peak_kib"] // 1024)) for p in result["peak_kib"])
        lines.append("| %s | %.2f | %.2f – %.2f | %s | %.2f | %.3f | %s |" % (
            result["contender"].replace("|", "\\|"), result["seconds"], min(result["all_seconds"]), max(result["all_seconds"]), ratio,
            result["cpu_seconds"], result["cpu_per_unit"], peaks) + (" {:,} |".format(result["wire_bytes"] or 0) if wire else ""))
    return lines + [""]


def _title(workload, scale):
    size = "" if scale == 1 else " (here %d objects)" % workload["objects"]
    return "%s%s, %s" % (workload["title"][0].upper() + workload["title"][1:], size, GUARANTEES[workload["guarantee"]])


def _curve(figures, scale):
    """Cores against seconds and against the speed on the fewest cores, a table for each row."""
    lines = []
    for key in dict.fromkeys((f["workload"], f["guarantee"]) for f in figures):
        mine = [f for f in figures if (f["workload"], f["guarantee"]) == key]
        seconds = {}
        for figure in mine:
            for result in figure["results"]:
                # The reference has one thread a core, and its name says so.
                name = "plain calls" if result["contender"].startswith("plain calls") else result["contender"]
                seconds.setdefault(name, {})[figure["cores"]] = result["seconds"]
        counts = sorted({f["cores"] for f in mine})
        lines += ["## " + _title(mine[0], scale), "", "Seconds, and in brackets how many times as fast as on %d." % counts[0], "",
                  "| cores | %s |" % " | ".join(str(count) for count in counts), "|---|" + "---:|" * len(counts)]
        for name, values in seconds.items():
            cells = ["%.2f (%.2f)" % (values[c], values[counts[0]] / values[c]) if c in values and counts[0] in values else "" for c in counts]
            lines.append("| %s | %s |" % (name.replace("|", "\\|"), " | ".join(cells)))
        lines.append("")
    return lines


def write(facts, arguments, figures):
    lines = _head(facts, arguments)
    if arguments.cores is not None:
        return "\n".join(lines + _curve(figures, arguments.scale))
    lines += goals.table(figures)
    for workload in figures:
        lines += ["## " + _title(workload, arguments.scale), ""] + _table(workload)
    return "\n".join(lines)
