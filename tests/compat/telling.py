"""Named cases of what is told of a run, and of what stands beside --fake-super and on ways. Part of regressions.py."""

import scenario
import zoo
from model import D, F, H, L, Node, seconds

CHANGES = {"src/same": F("s"), "dst/same": F("s"), "src/d/new": F("n"), "dst/d": D(), "dst/d/old": F("old"), "dst/gone": F("gone")}


def cases(Case):
    return [
        Case("a_limit_of_deletes_is_no_part_of_the_log", CHANGES, ["-a", "--delete", "--max-delete=0", "--log-file=log.txt", "--log-file-format=%n", "src/", "dst/"]),
        Case("a_limit_of_deletes_is_part_of_the_log_where_it_goes_here", CHANGES,
             ["-a", "--delete", "--max-delete=0", "--log-file=log.txt", "--log-file-format=%n", "-e", "./rsh", "host:src/", "dst/"], transport=scenario.PULL),
        *(Case("what_is_listed_over_there_has_the_usual_numbers" + words[0].replace("-", "_"), {"src/a": F(b"line\n" * 4000)}, [*words, "--list-only", "-e", "./rsh", "src/a", "host:dst/"],
               transport=scenario.PUSH) for words in (["-h"], ["--no-h"])),
        Case("a_list_that_is_made_as_a_whole_is_counted_below_its_line", {"src/a": F("a")}, ["-rm", "--progress", "--list-only", "src/"]),
        Case("of_an_unsafe_link_the_target_is_told", {"src/a": L("/nowhere"), "src/d/b": L("../../else"), "dst": D()}, ["-rlv", "--safe-links", "src/", "dst/"]),
        Case("owners_are_told_as_they_are_at_the_source", {"src/a": F("a", uid=1, gid=2), "dst": D()},
             ["-a", "--usermap=1:12345", "--chown=:54321", "--out-format=%U %G %n", "src/", "dst/"], needs=("root",)),
        Case("owners_are_told_as_they_become_where_they_go_here", {"src/a": F("a", uid=1, gid=2), "dst": D()},
             ["-a", "--usermap=1:12345", "--chown=:54321", "--out-format=%U %G %n", "-e", "./rsh", "host:src/", "dst/"], needs=("root",), transport=scenario.PULL),
        Case("a_file_that_is_made_anew_gets_a_group_of_the_process", {"src/a": F("new"), "dst/a": F("old", uid=0, gid=0, mtime_ns=seconds(-5))}, ["-ai", "src/", "dst/"],
             unprivileged=True, needs=("root",)),
        Case("what_stands_for_a_link_gets_its_time_in_any_case", {"src/l": L("t", mtime_ns=seconds(-5)), "dst": D()}, ["-aiJ", "--fake-super", "src/", "dst/"],
             differs="permissions-beside-fake-super"),
        Case("a_real_link_stays_where_another_stands_for_it", {"src/l": L("t"), "dst/l": L("t", mtime_ns=seconds(-5)), "src/m": L("t"), "dst/m": L("t")},
             ["-rltbi", "--fake-super", "src/", "dst/"], differs="permissions-beside-fake-super"),
        Case("real_permissions_stay_in_acls", {"src/d/l": L("t"), "src/d": D(mode=0o660, uid=0, gid=0), "src/e": D(),
                                               "dst/d": D(mode=0o660, uid=0, gid=0, xattrs={"system.posix_acl_access": zoo.ACCESS_ACL}), "src/e/l": L("t"),
                                               "dst/e": D(xattrs={"system.posix_acl_default": zoo.DEFAULT_ACL})},
             ["-ai", "--fake-super", "src/", "dst/"], needs=("root",), differs="permissions-beside-fake-super"),
        Case("a_directory_that_keeps_its_group_for_new_objects_does_so_beside_others",
             {"src/d/a": F("a", uid=0, gid=0), "src/d": D(mode=0o2775, uid=0, gid=54321), "dst/d": D(mode=0o2775, uid=0, gid=54321)},
             ["-ai", "--fake-super", "src/", "dst/"], needs=("root",), differs="permissions-beside-fake-super"),
        *(Case("a_link_that_is_made_anew_has_a_time_in_any_case" + name, {"src/l": L("t"), "dst/l": L("u"), "src/m": L("n"), "dst/m": L("n", mtime_ns=seconds(-5))}, words + ["src/", "dst/"])
          for name, words in (("", ["-aiJ"]), ("_with_checksums", ["-aicJ"]), ("_and_none_is_kept", ["-rli"]))),
        *(Case("what_is_in_the_way_of_a_way_stays_" + name, {"src/d/a": F("a"), "dst/d": node, "names": F("d/a\n"), "dst/b": F("b")},
               ["-aiR", "--no-implied-dirs", "--files-from=names", "src/", "dst/"], differs=differs)
          for name, node, differs in (("link", L("nowhere"), "below-what-could-not-be-made"), ("file", F("d"), None))),
        Case("a_link_of_another_user_leads_to_what_a_list_names", {"src/l": L("d/../d", uid=12345), "src/d/a": F("a"), "dst": D(), "names": F("l/\n")},
             ["-a", "--files-from=names", "src/", "dst/"], needs=("root",), differs="links-of-other-users"),
        Case("a_file_of_a_basis_that_is_made_whole_goes_at_the_source", {"src/a": F("abcd"), "older/a": F("efgh", mtime_ns=seconds(-5)), "dst": D()},
             ["-a", "--append", "--remove-source-files", "--link-dest=../older", "src/", "dst/"], differs="appending-beside-a-basis"),
        Case("what_cannot_be_read_needs_no_backup", {"src/a": F("new", mode=0o200), "dst/a": F("old", mtime_ns=seconds(-5))},
             ["-aib", "--inplace", "src/", "dst/"], unprivileged=True, differs="in-place-beside-backups"),
        Case("far_names_with_line_feeds_are_found", {"src/a\nb/c": F("c"), "src/a\nb/d": F("d"), "dst": D()},
             ["-a", "-e", "./rsh", "host:src/a\nb/c", "host:src/a\nb/d", "dst/"], transport=scenario.PULL, differs="names-that-a-shell-reads"),
        Case("of_names_that_share_a_file_one_is_parted", {"src/a": F("one", mode=0o600), "dst/a": F("one"), "dst/b": H("dst/a"), "dst/c": H("dst/a")},
             ["-ai", "src/", "dst/"], differs="shared-inodes-are-parted"),
        Case("the_first_of_names_that_are_listed", {"src/a/z": F("f"), "src/b/y": H("src/a/z"), "names": F("a/z\nb/y\n"), "dst": D()},
             ["-rinH", "--no-R", "--files-from=names", "src/", "dst/"], differs="first-of-hard-links"),
        *(Case("a_second_v_names_what_a_basis_has_" + name, {"src/a": F("a"), "src/b": H("src/a"), "src/d/c": F("c"), "older/a": F("a"), "older/b": H("older/a"),
                                                          "older/d/c": F("c"), "old": D()}, [words, "--%s-dest=../older" % use, "src/", destination])
          for name, words, use, destination in (("linked", "-aHvv", "link", "new"), ("copied", "-avv", "copy", "new"), ("there", "-avv", "link", "old"),
                                                ("as_letters", "-aHvvi", "link", "new"))),
        Case("what_is_special_in_another_way_is_changed", {"src/p": Node("fifo", mode=0o600), "dst/p": Node("socket"), "src/s": Node("socket"), "dst/s": Node("fifo"),
                                                           "src/f": Node("fifo"), "dst/f": F("f")}, ["-ai", "--stats", "src/", "dst/"]),
        Case("a_directory_beside_one_of_a_basis_has_a_time_that_is_not_kept", {"src/d/a": F("a"), "src/d": D(mode=0o700), "older/d/a": F("a"), "dst": D()},
             ["-rpi", "--copy-dest=../older", "src/", "dst/"]),
        *(Case("what_is_skipped_has_its_name_of_the_source" + name, {"src/l": L("/nowhere"), "dst": D()}, [*words, "src/l", "dst/new"])
          for name, words in (("", ["-tv"]), ("_unsafe", ["-av", "--safe-links"]))),
        Case("another_name_has_no_attributes_of_its_own", {"src/a": F("new", xattrs={"user.a": b"1"}), "src/b": H("src/a"), "dst/a": F("old", mtime_ns=seconds(-5)),
                                                           "dst/b": H("dst/a")}, ["-aHXi", "src/", "dst/"]),
        Case("a_listing_has_no_times_of_access_of_links", {"src/l": L("t"), "src/a": F("a")}, ["-rlU", "--list-only", "src/"], differs="times-of-access-of-symlinks"),
    ]
