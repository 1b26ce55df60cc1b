"""Named cases: runs in which ursync once differed from rsync, or must differ from it as documented. Each runs beside rsync every time.

A case is a world, the words of a command line that is given inside it, and what the words select. `differential.py --seed N --shrink`
prints one. `differs` names the intended difference that a case must show (intended.py).
"""

import os

import scenario
import zoo
from model import D, F, H, L, Node, seconds  # noqa: F401  (what printed cases are made of)


class Case(scenario.Scenario):
    def __init__(self, name, world, words, stdin=b"", unprivileged=False, transport=scenario.LOCAL, differs=None, needs=()):
        world = {os.fsencode(path): node for path, node in world.items()}
        world.setdefault(b"rsh", scenario.REMOTE_SHELL)
        super().__init__(world, [], [], None, stdin, unprivileged, transport)
        self.name, self.words, self.differs, self.needs = name, [os.fsencode(w) for w in words], differs, needs

    def _words(self):
        return self.words

    def names(self):
        """The options that the comparison asks for."""
        shown = b" ".join(self.words)
        return {name for name, words in (("log-file", b"--log-file="), ("atimes", b"--atimes"), ("sparse", b"--sparse")) if words in shown}


def as_source(drawn, name):
    """A scenario as a line of CASES."""
    world = "{%s}" % ", ".join("%r: %r" % pair for pair in sorted(drawn.world.items()) if pair[0] != b"rsh")
    more = ", stdin=%r" % drawn.stdin if drawn.stdin else ""
    more += ", unprivileged=True" if drawn.unprivileged else ""
    return "Case(%r, %s, %r%s)" % (name, world, drawn.arguments(), more)


LINES = b"".join(b"line %d\n" % n for n in range(2000))
# What --append meets: shorter files, right and wrong, and files that are no shorter.
PARTLY = {"src/short": F(LINES), "dst/short": F(LINES[:5000], mtime_ns=seconds(-5)), "src/wrong": F(LINES),
          "dst/wrong": F(b"x" * 5000, mtime_ns=seconds(-5)), "src/level": F("abc", mode=0o600), "dst/level": F("abd", mtime_ns=seconds(-5)),
          "src/longer": F("ab"), "dst/longer": F("abcdef", mtime_ns=seconds(-5)), "src/new": F("new"), "src/equal": F("e", mode=0o600),
          "dst/equal": F("e"), "src/was-empty": F("not now"), "dst/was-empty": F(""), "dst/other": F("only here")}
CASES = [
    Case("a_directory_is_updated", {"src/a": F("new"), "src/d/b": F("b"), "dst/a": F("old", mtime_ns=seconds(-5)), "dst/d/c": F("c")},
         ["-ai", "--delete", "src/", "dst"]),
    Case("appending_leaves_alone_what_is_no_shorter", PARTLY, ["-ai", "--append", "src/", "dst"]),
    Case("appending_mends_what_is_verified", PARTLY, ["-ai", "--append-verify", "src/", "dst"], differs="append-verify-mends-at-once"),
    Case("appending_to_files_with_holes", PARTLY,
         ["-aiS", "--append", "src/", "dst"], differs="appending-behind-zeros-without-holes"),
    Case("a_missing_directory_for_temporaries_is_an_error", PARTLY, ["-ai", "-T", "nowhere", "src/", "dst"]),
    Case("delayed_updates_and_deletes", PARTLY, ["-ai", "--delay-updates", "--delete", "src/", "dst"]),
    Case("a_directory_of_parts_is_neither_copied_nor_deleted",
         {"src/a": F("new"), "src/.parts/x": F("x"), "dst/.parts/y": F("y"), "dst/gone/.parts/z": F("z")},
         ["-ai", "--partial-dir=.parts", "--delete", "src/", "dst"]),
    Case("quiet_says_nothing_whatever_else_is_asked_for", {"src/a": F("new"), "dst": D()}, ["-aiq", "src/", "dst"]),
    Case("a_full_directory_in_the_way_is_told_as_a_message", {"src/full": F("a file"), "dst/full/x": F("x")}, ["-ai", "src/", "dst"]),
    Case("the_log_leaves_out_mere_metadata_as_the_output_does", {"src/a": F("a", mode=0o600), "dst/a": F("a")},
         ["-a", "--log-file=log.txt", "src/", "dst"]),
    Case("a_list_of_missing_names_makes_no_directories_on_the_way", {"src/d/a": F("a"), "dst": D(), "names": F("d/nothing\n")},
         ["-ai", "--files-from=names", "src/", "dst"]),
    Case("a_slash_behind_a_file_of_a_list_is_nothing", {"src/d/a": F("a"), "dst": D(), "names": F("d/a/\n")},
         ["-ai", "--files-from=names", "src/", "dst"]),
    Case("a_listed_name_that_leads_with_a_dot_brings_its_directory_along",
         {"src/a": F("a"), "src": D(mode=0o750), "dst": D(), "names": F("./a\n")}, ["-ai", "--files-from=names", "src/", "dst"]),
    Case("no_rule_hides_what_leads_to_a_listed_name", {"src/hidden/a": F("a"), "dst": D(), "names": F("hidden/a\n")},
         ["-ai", "--exclude=hidden", "--files-from=names", "src/", "dst"]),
    Case("a_source_that_cannot_be_entered_spares_all_deletes", {"src/a": F("a"), "dst/extra": F("e")},
         ["-ai", "--delete", "src/", "gone/", "dst/"]),
    Case("a_missing_source_spares_no_delete", {"src/a": F("a"), "dst/extra": F("e")}, ["-ai", "--delete", "src/", "src/gone", "dst/"]),
    Case("a_missing_parent_of_the_destination_is_an_error_of_file_io", {"src/a": F("a")}, ["-a", "src/", "new/er/"]),
    Case("a_dry_run_needs_no_parent_of_the_destination", {"src/a": F("a")}, ["-an", "src/", "new/er/"]),
    Case("an_empty_directory_that_makes_way_is_not_told", {"src/a": F("a"), "dst/a": D()}, ["-ai", "src/", "dst/"]),
    Case("times_that_early_deletes_move_are_told", {"src/d/a": F("a"), "dst/d/a": F("a"), "dst/d/extra": F("e")},
         ["-ai", "--delete-before", "src/", "dst/"]),
    Case("what_is_not_to_be_made_is_not_looked_at", {"src/pipe": Node("fifo"), "src/a": F("new"), "dst/a": F("a")},
         ["-rti", "--existing", "src/", "dst/"]),
    Case("a_listing_has_the_lines_of_verbose_runs", {"src/a": F("a")}, ["-rv", "--list-only", "src/"]),
    Case("a_listing_leaves_nothing_out", {"src/a": F("a" * 50), "src/b": F("b")},
         ["-r", "--list-only", "--max-size=9", "--existing", "src/a", "src/b"]),
    Case("groups_that_are_not_kept_are_called_default", {"src/a": F("a"), "dst": D()}, ["-rt", "--out-format=%U %G %n", "src/", "dst"]),
    Case("of_what_is_deleted_the_name_is_told_alone", {"src/a": F("a"), "dst/gone": F("gone")},
         ["-rt", "--delete", "--out-format=%i|%f|%l|%M", "src/", "dst"]),
    Case("messages_go_to_the_log_too", {"src/pipe": Node("fifo"), "src/a": F("a"), "dst": D()},
         ["-rtv", "--log-file=log.txt", "src/", "dst/"]),
    Case("a_dry_run_logs_nothing_that_would_move", {"src/a": F("a"), "src/d/b": F("b"), "dst": D()},
         ["-rtn", "--log-file=log.txt", "src/", "dst/"]),
    Case("secluded_and_old_arguments_exclude_each_other", {"src/a": F("a"), "dst": D()}, ["-as", "--old-args", "src/", "dst/"]),
    Case("a_level_of_no_compression_is_nothing", {"src/a": F("a"), "dst": D()}, ["-az", "--zc=none", "--zl=9", "src/", "dst/"]),
    Case("names_that_share_a_file_are_parted", {"src/a": F("one", mode=0o600), "src/b": F("one"), "dst/a": F("one"), "dst/b": H("dst/a")},
         ["-ai", "src/", "dst/"], differs="shared-inodes-are-parted"),
    Case("ids_in_acls_stay", {"src/a": F("a", xattrs={"system.posix_acl_access": zoo.ACCESS_ACL}), "dst": D()},
         ["-aA", "--chown=12345", "src/", "dst/"], needs=("root",), differs="ids-in-acls"),
    Case("a_listed_file_with_a_slash_spares_what_is_there", {"src/a": F("a"), "src/b": F("b"), "dst/c": F("c"), "lists/names": F("a/\nb\n")},
         ["-ai", "--no-relative", "--delete", "-r", "--files-from=lists/names", "src/", "dst/"]),
    Case("links_that_lead_nowhere_spare_what_is_there", {"src/a": F("a"), "src/gone": L("nowhere"), "dst/c": F("c")},
         ["-aiL", "--delete", "src/", "dst/"]),
    Case("deleting_after_needs_the_whole_list_first", {"src/a": F("a"), "dst": D()}, ["-av", "--delete-after", "src/", "dst/"]),
    Case("delaying_updates_needs_the_whole_list_first", {"src/a": F("a"), "dst": D()}, ["-av", "--delay-updates", "src/", "dst/"]),
    Case("a_run_of_nothing_is_told_with_its_size", {"src/a": F("a"), "dst": D()}, ["-pv", "--log-file=log.txt", "src/", "dst/"]),
    Case("a_directory_that_is_skipped_is_logged", {"src/a": F("a"), "src/d": D(), "dst": D()},
         ["-pi", "--log-file=log.txt", "src/d", "src/a", "dst/"]),
    Case("the_list_is_told_before_the_destination_fails", {"src/a": F("a")}, ["-av", "--log-file=log.txt", "src/", "new/er/"]),
    Case("directories_that_mkpath_makes_are_counted", {"src/a": F("a"), "src": D(mode=0o750)}, ["-ai", "--mkpath", "src/", "new/er/"]),
    Case("progress_here_has_the_far_end_name_nothing", {"src/a": F("a")}, ["-a", "--progress", "-e", "./rsh", "src/", "host:fresh"],
         transport=scenario.PUSH),
    Case("a_file_that_runs_as_somebody_shows_its_mode_when_its_owner_is_set",
         {"src/a": F("a", mode=0o4755, uid=0), "dst/a": F("a", mode=0o4755, uid=12345), "src/b": F("b", mode=0o2745), "dst/b": F("b", mode=0o2745, gid=1)},
         ["-ai", "src/", "dst/"], needs=("root",)),
    Case("long_names_of_the_top_end_with_a_dot", {"src/a": F("a"), "src": D(mode=0o750), "dst": D()},
         ["-ai", "--out-format=%f (%n)", "./src//./", "dst/"]),
    Case("a_new_root_has_the_mode_of_a_new_directory", {"src/a": F("a"), "src": D(mode=0o700)}, ["-ri", "src/", "fresh"]),
    Case("a_new_root_is_compared_with_that_of_a_basis", {"src/a": F("a"), "src": D(mode=0o700), "older/a": F("a"), "older": D()},
         ["-ai", "--copy-dest=../older", "src/", "fresh"]),
    Case("a_directory_in_the_place_of_a_file_is_compared_with_a_basis",
         {"src/d/a": F("a"), "src/d": D(mode=0o700), "older/d/a": F("a"), "older/d": D(), "dst/d": F("a file")},
         ["-ai", "--compare-dest=../older", "src/", "dst/"]),
    Case("what_a_basis_has_is_told_where_its_time_is_not_kept", {"src/a": F("a"), "older/a": F("a"), "dst": D()},
         ["-ri", "--copy-dest=../older", "src/", "dst/"]),
    Case("a_device_that_is_replaced_keeps_its_mode", {"src/d": Node("char", mode=0o600, rdev=os.makedev(1, 3)), "dst/d": Node("char", mode=0o666, rdev=os.makedev(1, 7))},
         ["-rDi", "src/", "dst/"], needs=("root",)),
    Case("what_cannot_be_looked_at_is_not_counted", {"src/a": F("a"), "src/gone": L("nowhere"), "dst": D()}, ["-aL", "--stats", "src/", "dst/"]),
    Case("a_list_of_names_needs_a_destination", {"src/a": F("a"), "names": F("a\n")}, ["-a", "--files-from=names", "src/"]),
    Case("nothing_is_listed_between_two_other_hosts", {"src/a": F("a")}, ["-a", "--list-only", "-e", "./rsh", "host:src/", "host:dst/"]),
    Case("a_listing_maps_no_owners", {"src/a": F("a")}, ["-r", "--list-only", "--chown=nobody-at-all:", "src/a", "dst/"]),
    Case("a_listing_has_unsafe_links", {"src/a": L("/nowhere")}, ["-r", "--list-only", "--safe-links", "src/a", "dst/"]),
    Case("a_quiet_listing_says_nothing", {"src/a": F("a")}, ["-rq", "--list-only", "src/"]),
    Case("links_that_are_left_out_are_not_unsafe", {"src/a": L("/nowhere"), "dst/a": L("/else")}, ["-ri", "--safe-links", "src/", "dst/"]),
    Case("the_log_has_modes_of_what_goes_here", {"src/a": F("a"), "dst/gone": F("gone", mode=0o640)},
         ["-r", "--delete", "--log-file=log.txt", "--log-file-format=%B %n", "-e", "./rsh", "host:src/", "dst/"], transport=scenario.PULL),
    Case("a_link_that_leads_nowhere_is_not_there_where_errors_are_ignored", {"src/a": F("a"), "src/gone": L("nowhere"), "dst/gone": F("old")},
         ["-aiL", "--delete", "--ignore-errors", "src/", "dst/"]),
    Case("what_is_written_in_place_needs_no_other_directory", {"src/a": F("new"), "src/b": F("b"), "dst/a": F("old", mtime_ns=seconds(-5)), "tmp": D()},
         ["-ai", "--inplace", "--temp-dir=@WORLD@/tmp", "src/", "dst/"]),
    Case("times_are_not_told_where_errors_spare_all", {"src/a": F("a"), "src/gone": L("nowhere"), "src": D(mode=0o750), "dst/extra": F("e")},
         ["-aiL", "--delete-before", "src/", "dst/"]),
    Case("times_are_not_told_where_a_limit_spares", {"src/d/a": F("a"), "dst/d/a": F("a"), "dst/d/extra": F("e")},
         ["-ai", "--delete-before", "--max-delete=0", "src/", "dst/"]),
    Case("the_first_name_that_is_right_leads_the_others",
         {"src/a": F("same"), "src/b": H("src/a"), "dst/a": F("same"), "dst/b": F("same"), "dst/more/c": H("dst/a")}, ["-aHbi", "src/", "dst/"]),
    Case("a_file_that_its_owner_may_not_write_is_written_in_place",
         {"src/a": F("new", mode=0o400), "dst/a": F("old", mode=0o400, mtime_ns=seconds(-5)), "dst": D()}, ["-ai", "--inplace", "src/", "dst/"],
         unprivileged=True),
    Case("a_merge_file_that_leads_nowhere_is_none", {"src/a": F("a"), "dst/.rsync-filter": L("nowhere")}, ["-aiF", "src/", "dst/"]),
    Case("directories_of_backups_look_like_those_of_the_destination",
         {"src/d/a": F("new"), "src/d": D(mode=0o750), "dst/d/a": F("old", mtime_ns=seconds(-5)), "dst/d": D(mode=0o700)},
         ["-aib", "--backup-dir=../back", "src/", "dst/"]),
    Case("a_far_name_with_a_line_feed_is_found", {"src/a\nb": F("a"), "dst": D()}, ["-a", "-e", "./rsh", "host:src/a\nb", "dst/"],
         transport=scenario.PULL, differs="names-that-a-shell-reads"),
    Case("what_runs_as_its_owner_does_not_run_as_another", {"src/a": F("a", mode=0o4755, uid=12345), "dst": D()}, ["-rp", "src/a", "dst/"],
         needs=("root",), differs="special-bits-without-their-owner"),
    Case("a_file_of_a_basis_is_not_its_own_beginning", {"src/a": F("abcd"), "older/a": F("efgh", mtime_ns=seconds(-5)), "dst": D()},
         ["-ai", "--append", "--link-dest=../older", "src/", "dst/"], differs="appending-beside-a-basis"),
]
