#!/usr/bin/env python3
"""rsync and ursync on equal copies of random trees with the same random command lines must do the same: trees, output, exit codes.

  differential.py                     a few hundred seeds, and the checks of the draw itself: what ctest runs
  differential.py --seeds 1000-1999   these seeds
  differential.py --seed 17 -k        one seed: prints both command lines and the differences, and keeps the trees
  differential.py --seed 17 --shrink  the smallest run found that still differs, as a case for regressions.py
  differential.py --minutes 60        seeds from a random start until the time is over
  differential.py --program PROGRAM   something else than ursync (rsync itself must not differ from itself)

A seed repeats its run, whatever options the program takes: those that it refuses are left out of it, and listed.
"""

import argparse
import collections
import concurrent.futures
import os
import random
import shlex
import shutil
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import intended  # noqa: E402
import options  # noqa: E402
import runner  # noqa: E402
import scenario as scenarios  # noqa: E402
import shrink  # noqa: E402
import support  # noqa: E402

# Under sanitizers, where a run takes several times as long, the first half.
CI_SEEDS = range(0, 300 if float(os.environ.get("URINGSYNC_TEST_SLOWNESS", "1")) > 1 else 600)
LEAST_DRAWS = 5  # seeds in which every option is drawn
LEAST_OTHERS = 2  # together with so many others
DYING_SEEDS = 0.03  # rsync 3.5 itself hangs or breaks off now and then: at most this share of the seeds
OPEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "open_seeds.txt")
URSYNC = os.path.join(harness.BIN_DIR, "ursync")


class Report:
    """What came out of one seed; goes from a worker process to the first one."""

    def __init__(self, seed, scenario, theirs, ours, differences, met):
        self.seed, self.differences, self.met = seed, differences, met
        self.names, self.died = scenario.names(), theirs.died()
        self.refused, self.known = support.refusal(theirs, ours), False
        self.code = theirs.code
        self.commands = [shown(outcome.command) for outcome in (theirs, ours)]
        self.stderr = [outcome.stderr.decode("utf-8", "backslashreplace")[-1500:] for outcome in (theirs, ours)]

    def __str__(self):
        return "seed %d: %d differences\n  $ %s\n  $ %s\n    %s\n  --- standard error of rsync, of the program\n%s\n  ---\n%s" % (
            self.seed, len(self.differences), *self.commands, "\n    ".join(self.differences[:25]), *self.stderr)


def open_seeds():
    """Seeds that still differ, each with its first difference: what is yet to be mended. No other seed may differ."""
    with open(OPEN, encoding="utf-8") as file:
        return {int(line.split(" ", 1)[0]) for line in file if line[0].isdigit()}


def write_open_seeds(reports):
    with open(OPEN, "w", encoding="utf-8") as file:
        file.write("# Seeds of the differential test that still differ, with their first difference: differential.py --write-open. None may be\n"
                   "# added but with new options; when the list is empty this file goes.\n")
        for report in reports:
            if report.differences:
                file.write("%d %s\n" % (report.seed, report.differences[0].encode("unicode_escape").decode()[:110]))


def shown(command):
    return " ".join(shlex.quote(word.decode("utf-8", "backslashreplace")) for word in command)


def drawn(seed, refused):
    """The scenario of a seed without what the program refuses, and whether it is to run."""
    return scenarios.draw(seed).without_options(refused)


class Checker:
    """Runs seeds, in several processes where asked, and collects their reports."""

    def __init__(self, program, directory, refused, keep=False, transports=True):
        self.pair = runner.Pair(program, directory, keep=keep)
        self.refused, self.transports = set(refused), transports

    def scenario(self, seed):
        found = drawn(seed, self.refused)
        return found if self.transports else found.but(transport=scenarios.LOCAL)

    def differences(self, scenario):
        theirs, ours, found = self.pair.run(scenario)
        return intended.sort_out(scenario, theirs, ours, found)[0]

    def check(self, seed):
        scenario = self.scenario(seed)
        theirs, ours, found = self.pair.run(scenario)
        left, met = intended.sort_out(scenario, theirs, ours, found)
        refusal = support.refusal(theirs, ours)
        if refusal:
            left = [] if intended.REFUSED_VALUES.match(refusal) else ["refused: " + refusal]
        return Report(seed, scenario, theirs, ours, left, met)

    def check_all(self, seeds, jobs, say=print):
        """The reports of all seeds; those with differences are printed as they come, but for those that are known."""
        reports, known = [], open_seeds()
        with concurrent.futures.ProcessPoolExecutor(max_workers=jobs) as pool:
            for report in pool.map(self.check, seeds, chunksize=4):
                reports.append(report)
                report.known = report.seed in known
                if report.differences and not report.known:
                    say(report)
        return reports


def failures_of_the_draw(reports, refused):
    """Whatever makes the run as a whole worthless: options that were not drawn, or an rsync that does not work."""
    draws = collections.Counter(name for r in reports if not r.died and not r.refused and len(r.names) > LEAST_OTHERS for name in r.names)
    wanted = [o for o in options.TABLE if o.name not in refused and (harness.is_root() or not o.privileged)
              and not (o.needs and set(o.needs) <= set(refused))]
    found = ["option %s was drawn %d times together with %d others, not %d times" % (o.name, draws[o.name], LEAST_OTHERS, LEAST_DRAWS)
             for o in wanted if draws[o.name] < LEAST_DRAWS]
    died = [r.seed for r in reports if r.died]
    if len(died) > DYING_SEEDS * len(reports):
        found.append("rsync itself died in %d of %d seeds: %s" % (len(died), len(reports), died[:10]))
    return found


def stale(reports):
    """Intended differences that no seed and no named test meets."""
    import regressions
    met = set().union(*(r.met for r in reports)) | {case.differs for case in regressions.CASES}
    return ["the intended difference %s was met nowhere" % i.name for i in intended.INTENDED if i.name not in met]


def summary(reports, refused, seconds):
    codes = collections.Counter(r.code for r in reports if not r.died)
    met = collections.Counter(name for r in reports for name in r.met)
    print("%d seeds in %.0f s: %d differ that did not, %d still differ, %d skipped because rsync died" % (
        len(reports), seconds, sum(bool(r.differences) and not r.known for r in reports),
        sum(bool(r.differences) and r.known for r in reports), sum(r.died for r in reports)))
    for text, number in collections.Counter(r.refused for r in reports if r.refused).items():
        print("%d seeds skipped: %s" % (number, text))
    print("exit codes: %s" % ", ".join("%s: %d" % pair for pair in sorted(codes.items())))
    if met:
        print("intended differences: %s" % ", ".join("%s: %d" % pair for pair in sorted(met.items())))
    if refused:
        print("not supported, left out: %s" % " ".join(sorted(refused)))
    if not harness.is_root():
        print("not root, left out: %s" % " ".join(o.name for o in options.TABLE if o.privileged))


def one_seed(checker, seed, arguments):
    scenario = checker.scenario(seed)
    if arguments.shrink:
        scenario = shrink.shrink(scenario, checker.differences, lambda text: print(text, file=sys.stderr))
        import regressions
        print(regressions.as_source(scenario, "seed_%d" % seed))
    theirs, ours, found = checker.pair.run(scenario)
    left, met = intended.sort_out(scenario, theirs, ours, found)
    print(Report(seed, scenario, theirs, ours, left, met))
    for name in sorted(met):
        print("intended: %s" % name)
    if arguments.keep:
        print("worlds: %s" % checker.pair.directory)
    return 1 if left else 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", metavar="A-B")
    parser.add_argument("--seed", type=int)
    parser.add_argument("-k", "--keep", action="store_true")
    parser.add_argument("--shrink", action="store_true")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--program", default=URSYNC)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--local", action="store_true", help="no remote shell")
    parser.add_argument("--write-open", action="store_true", help="write the list of seeds that differ: what is yet to be mended")
    parser.add_argument("--dir", default=os.environ.get("URINGSYNC_TEST_DIR"))
    return parser.parse_args()


def seeds_of(arguments):
    if arguments.seeds:
        first, _, last = arguments.seeds.partition("-")
        return range(int(first), int(last or first) + 1)
    return CI_SEEDS


def main():
    arguments = parse()
    if not harness.has_rsync():
        print("SKIPPED: rsync is not installed")
        return 0
    program = shutil.which(arguments.program) or sys.exit("%s is missing: build first, or set URINGSYNC_BIN_DIR" % arguments.program)
    directory = tempfile.mkdtemp(prefix="uringsync-compat-", dir=arguments.dir)
    os.chmod(directory, 0o755)
    started = time.monotonic()
    try:
        refused, partly = support.unsupported(program)
        shells = not arguments.local and support.uses_remote_shells(program)
        checker = Checker(program, directory, refused, arguments.keep, shells)
        if arguments.seed is not None:
            return one_seed(checker, arguments.seed, arguments)
        reports, start = [], random.SystemRandom().randrange(10 ** 6, 10 ** 9)
        if arguments.minutes:
            while time.monotonic() - started < arguments.minutes * 60:
                reports += checker.check_all(range(start, start + 100), arguments.jobs)
                start += 100
        else:
            reports = checker.check_all(seeds_of(arguments), arguments.jobs)
            if arguments.write_open:
                write_open_seeds(reports)
        summary(reports, refused, time.monotonic() - started)
        print("remote shells: %s" % ("in 3 of 10 seeds" if shells else "not tried"))
        wrong = []
        if not arguments.minutes and not arguments.seeds:
            wrong = failures_of_the_draw(reports, refused) + stale(reports)
            wrong += ["%s is refused, other names of the option are not" % spelling for spelling in partly]
            print("\n".join("FAILED: " + line for line in wrong) or "every supported option was drawn in at least %d seeds" % LEAST_DRAWS)
        return 1 if wrong or any(r.differences and not r.known for r in reports) else 0
    finally:
        if not arguments.keep:
            harness.remove_tree(directory)


if __name__ == "__main__":
    sys.exit(main())
