"""Which options of the table a program takes at the moment. A refused option is refused by name, and that is asked for each."""

import concurrent.futures
import os
import re
import subprocess
import tempfile

import options
import runner
import scenario

# An option or an operand is refused by its name, with the reason.
REFUSAL = re.compile(rb"ursync: (?:[^\n]+(?:is|are) not supported|--?[\w-]+(?:=[^:]*)?: )[^\n]*\n")
# Values that every program takes which takes the option at all.
PLAIN_VALUES = {
    "chmod": "u+x", "chown": "0:0", "usermap": "0:0", "groupmap": "0:0", "exclude": "x", "include": "x", "filter": "- x", "max-size": "1",
    "min-size": "1", "modify-window": "1", "checksum-choice": "auto", "compress-choice": "auto", "compress-level": "3",
    "skip-compress": "gz", "block-size": "700", "bwlimit": "1000", "timeout": "9", "stop-after": "9", "stop-at": "2099-12-31T23:59",
    "max-delete": "1", "out-format": "%n", "log-file-format": "%n", "info": "name", "outbuf": "L", "checksum-seed": "7", "max-alloc": "1g", "protocol": "32"}


def _taken(program, words, directory):
    """Whether a harmless run with these words is not refused by the name of one of them."""
    done = subprocess.run([program, "-nr", *words], capture_output=True, stdin=subprocess.DEVNULL, env=runner.ENVIRONMENT, cwd=directory,
                          timeout=runner.LIMIT_S)
    return done.returncode not in (1, 4) or not REFUSAL.search(done.stderr)


def _takes(program, option, spelling, directory):
    words = [spelling]
    if option.value is not None:
        value = PLAIN_VALUES.get(option.name) or os.path.join(directory, "empty")
        words = [spelling + "=" + value] if spelling.startswith("--") else [spelling, value]
    return _taken(program, words + ["src/", "dst"], directory)


def refusal(theirs, ours):
    """The words with which the program refused a run that rsync took, else "": a value that it does not support."""
    found = REFUSAL.search(ours.stderr) if ours.code in (1, 4) and theirs.code not in (1, 4) else None
    return found.group().decode("utf-8", "replace").strip() if found else ""


def _furnish(directory):
    for name in ("src", "dst"):
        os.mkdir(os.path.join(directory, name))
    with open(os.path.join(directory, "empty"), "wb"):
        pass
    with open(os.path.join(directory, "rsh"), "wb") as file:
        file.write(scenario.REMOTE_SHELL.data)
    os.chmod(os.path.join(directory, "rsh"), 0o755)


def uses_remote_shells(program):
    """Whether the program takes operands of the form HOST:PATH."""
    with tempfile.TemporaryDirectory() as directory:
        _furnish(directory)
        return _taken(program, ["-e", "./rsh", "host:src/", "dst"], directory)


def unsupported(program):
    """({option's name: its spellings} of those that the program refuses, spellings that it refuses of options that it takes)."""
    refused = {}
    with tempfile.TemporaryDirectory() as directory:
        _furnish(directory)
        every = [(option, spelling) for option in options.TABLE for spelling in option.spellings]
        with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            for (option, spelling), taken in zip(every, pool.map(lambda pair: _takes(program, *pair, directory), every)):
                if not taken:
                    refused.setdefault(option.name, []).append(spelling)
    partly = [s for name, spellings in refused.items() for s in spellings if len(spellings) < len(options.BY_NAME[name].spellings)]
    return {n: s for n, s in refused.items() if len(s) == len(options.BY_NAME[n].spellings)}, partly
