"""What is to be reached, and a table that says what was: met or not."""

LOCAL, AGENTS = "uringsync (%s)", "uringsync, 2 agents, TLS (%s)"
BACKENDS = ("uring", "threads")

# workload, whose time, whose time it is divided into, at least, what it says
SPEED = [
    ("small", LOCAL, "rsync", 2.5, "100,000 small files, local"),
    ("small", LOCAL, "plain calls, 2 threads", 0.8, "the same: within 20 % of plain calls"),
    ("small", AGENTS, "rsync daemon", 2.0, "100,000 small files, two agents, TLS"),
    ("large", LOCAL, "rsync", 4.0, "2 × 1 GiB, local"),
    ("large", LOCAL, "plain calls, 2 threads", 0.85, "the same: within 15 % of plain calls"),
    ("large", AGENTS, "rsync daemon", 2.0, "2 × 1 GiB, two agents, TLS"),
    ("large", AGENTS, "rsync over ssh", 4.0, "the same"),
    ("nothing-million", LOCAL, "rsync", 1.8, "nothing to do, 1,000,000 files, every object looked at"),
    ("nothing-million", "uringsync, live index (%s)", "rsync", 20.0, "nothing to do, 1,000,000 files, with a live index"),
    ("edits", AGENTS, "rsync daemon", 4.0, "2 GiB file, 200 random edits of 4 KiB, two agents"),
    ("insert", AGENTS, "rsync daemon", 3.0, "the same file with 1 MiB inserted at its head, two agents"),
    ("sparse", LOCAL, "rsync", 10.0, "10 GiB sparse file with 64 MiB of data"),
    ("latency", AGENTS, "rsync daemon", 1.2, "100,000 small files at 50 ms round trip, 1 Gbit/s"),
    ("delete", LOCAL, "rsync", 1.5, "delete 100,000 files"),
]

# workloads where CPU seconds count, ours to the rival's, at most
CPU = [(("small", "large", "mixed", "nothing", "sparse", "delete"), LOCAL, "rsync", 0.7, "local"),
       (("small", "large", "mixed", "nothing"), AGENTS, "rsync daemon", 1.0, "two agents, TLS, beside rsync without")]


def _value(workloads, name, guarantee, ours, rival, key):
    for workload in workloads:
        if workload["workload"] == name and workload["guarantee"] == guarantee:
            rows = {row["contender"]: row for row in workload["results"]}
            if ours in rows and rival in rows and rows[ours][key] and rows[rival][key]:
                return rows[rival][key] / rows[ours][key]
    return None


def _cell(values, met):
    if all(value is None for value in values):
        return ""
    return " / ".join("–" if value is None else ("%.2f" if met(value) else "**%.2f**") % value for value in values)


def _row(workloads, name, ours, rival, key, met, invert=False):
    cells = []
    for guarantee in ("equal", "default"):
        values = [_value(workloads, name, guarantee, ours % backend, rival, key) for backend in BACKENDS]
        if invert:
            values = [value and 1 / value for value in values]
        cells.append(_cell(values, met))
    return cells


def _section(head, rows):
    """A table, or nothing where there is no row."""
    return ["", "| %s | equal guarantees | defaults |" % head, "|---|---|---:|---:|---:|", *rows] if rows else []


def table(workloads):
    """Lines of markdown. A figure that misses its goal is bold; rows without any figure are left out."""
    speed, cpu, backends = [], [], []
    for name, ours, rival, least, text in SPEED:
        cells = _row(workloads, name, ours, rival, "seconds", lambda value, least=least: value >= least)
        if any(cells):
            speed.append("| %s | %s | %g × | %s | %s |" % (text, rival, least, *cells))
    for names, ours, rival, most, text in CPU:
        for name in names:
            cells = _row(workloads, name, ours, rival, "cpu_seconds", lambda value, most=most: value <= most, invert=True)
            if any(cells):
                cpu.append("| %s, %s | %s | %g × | %s | %s |" % (name, text, rival, most, *cells))
    for name in dict.fromkeys(workload["workload"] for workload in workloads):
        for ours in (LOCAL, AGENTS):
            cells = [_cell([_value(workloads, name, guarantee, ours % "uring", ours % "threads", "seconds")], lambda figure: figure >= 1)
                     for guarantee in ("equal", "default")]
            if any(cells):
                backends.append("| %s, %s | threads | 1 × | %s | %s |" % (name, "local" if ours == LOCAL else "two agents", *cells))
    if not speed + cpu + backends:
        return []
    return ["## Goals", "", "uring / threads; what misses its goal is bold. Equal guarantees decide; the defaults stand beside.",
            *_section("workload | rival | at least", speed), *_section("CPU seconds | rival | at most", cpu),
            *_section("uring beside threads, seconds | rival | at least", backends), ""]
