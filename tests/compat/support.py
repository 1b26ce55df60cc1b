"""Which options of the table a program takes at the moment. A refused option is refused by name, and that is asked for each."""

import concurrent.futures
import os
import subprocess
import tempfile

import options
import runner

# Values that every program takes which takes the option at all.
PLAIN_VALUES = {
    "chmod": "u+x", "chown": "0:0", "usermap": "0:0", "groupmap": "0:0", "exclude": "x", "include": "x", "filter": "- x", "max-size": "1",
    "min-size": "1", "modify-window": "1", "checksum-choice": "auto", "compress-choice": "auto", "compress-level": "3",
    "skip-compress": "gz",
    "block-size": "700", "bwlimit": "1000", "timeout": "9", "stop-after": "9", "stop-at": "2099-12-31T23:59", "max-delete": "1",
    "out-format": "%n", "log-file-format": "%n", "info": "name", "outbuf": "L", "checksum-seed": "7", "max-alloc": "1g", "protocol": "32"}


def _takes(program, option, spelling, directory):
    words = [program, "-n", spelling]
    if option.value is not None:
        value = PLAIN_VALUES.get(option.name) or os.path.join(directory, "empty")
        words[2:] = [spelling + "=" + value] if spelling.startswith("--") else [spelling, value]
    words += [os.path.join(directory, "src", ""), os.path.join(directory, "dst")]
    done = subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL, env=runner.ENVIRONMENT, cwd=directory,
                          timeout=runner.LIMIT_S)
    return done.returncode not in (1, 4) or b"unsupported" not in done.stderr.replace(b"not supported", b"unsupported")


def unsupported(program):
    """{option's name: the spellings refused}: those of the table that the program refuses as not supported."""
    refused = {}
    with tempfile.TemporaryDirectory() as directory:
        for name in ("src", "dst"):
            os.mkdir(os.path.join(directory, name))
        with open(os.path.join(directory, "empty"), "wb"):
            pass
        every = [(option, spelling) for option in options.TABLE for spelling in option.spellings]
        with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            for (option, spelling), taken in zip(every, pool.map(lambda pair: _takes(program, *pair, directory), every)):
                if not taken:
                    refused.setdefault(option.name, []).append(spelling)
    return refused
