"""What of a program's output is compared, and in which form: rules, one for each kind of line that time, place or chance decides."""

import re

# Lines that tell bytes on the wire, times or the course of the transfer.
DROPPED = [re.compile(expression) for expression in (
    rb"sent [\d.,KMGT]+ bytes  received ", rb"Literal data: ", rb"Matched data: ", rb"File list size: ",
    rb"File list (?:generation|transfer) time: ", rb"Total bytes (?:sent|received): ", rb"delta-transmission ", rb".*\r",
    rb"\s*[\d.,KMGT]+ +100% ", rb"total: matches=", rb" *$",
    # Problems have words of their own on standard error; the log repeats them.
    rb"rsync: ", rb"rsync error: ", rb"rsync warning: ", rb"ursync: ", rb"ursync error: ", rb"ursync warning: ")]
CUT = [(re.compile(rb"(total size is [\d.,KMGT]+)  speedup is .*"), rb"\1"),
       # The end of the log's lines stands behind date, time and process.
       (re.compile(rb"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[\d+\] (?:\[\w+\] )?"), b"")]


def lines(text):
    """The lines of standard output or of a log that are the same for every program that does the same, sorted."""
    found = []
    for line in text.split(b"\n"):
        for expression, kept in CUT:
            line = expression.sub(kept, line)
        if not any(expression.match(line) for expression in DROPPED):
            found.append(line)
    return sorted(found)


def differences(theirs, ours):
    """Lines that only one of two outputs has, as words."""
    left, right = list(lines(theirs)), list(lines(ours))
    for line in list(left):
        if line in right:
            left.remove(line)
            right.remove(line)
    return ["missing %s" % show(line) for line in left] + ["unexpected %s" % show(line) for line in right]


def show(line):
    return line.decode("utf-8", "backslashreplace")


def escaped(name):
    """A name as rsync prints it: what is no printable character, and a backslash before what looks like an escape, as octal numbers."""
    text = b"".join(b"\\#%03o" % byte if byte < 32 and byte != 9 else bytes([byte]) for byte in re.sub(rb"\\(?=#\d\d\d)", rb"\\#134", name))
    return show(b"".join(text.split(b"\0")))
