"""Where per-directory rule files count: named cases for regressions.py.

In the first world every directory has a rule file that leaves out one name everywhere below and one in itself alone, and every directory holds
all these names. So a copy shows, directory by directory, which files were read for it.
"""

from model import F

PLACES = ["", "s", "s/one", "s/one/a", "s/one/a/k", "s/two", "s/two/b", "s/three", "s/three/a"]


def _mark(place):
    return "x-" + (place.replace("/", "-") or "top")


def _marked():
    world = {}
    for place in PLACES:
        prefix = place + "/" if place else ""
        world[prefix + ".rsync-filter"] = F("- %s\n- /%s.here\n" % (_mark(place), _mark(place)))
        if place.startswith("s/"):
            world.update({prefix + _mark(other) + end: F("x") for other in PLACES for end in ("", ".here")})
    world["names"] = F("s/one/a\n")
    world["files"] = F("s/one/a/x-top\n")
    return world


MARKED = _marked()
# The words of command lines, which end with "dst/".
READ = {
    "of_a_directory_s_contents": "-aF s/one/a/",
    "of_a_directory": "-aF s/one/a",
    "of_the_first_directory_alone_above": "-aF s/one/a s/two",
    "of_the_first_in_order_above": "-aF s/two s/one/a",
    "of_the_first_that_is_a_directory": "-aF s/one/a/x-top s/two/b",
    "of_a_way": "-aRF s/one/a",
    "of_a_shortened_way": "-aRF s/./one/a",
    "of_a_way_that_begins_with_a_dot": "-aRF ./s/one/a s/two",
    "of_several_ways": "-aRF s/./one/a s/./three/a",
    "of_a_way_without_its_directories": "-aRF --no-implied-dirs s/one/a",
    "of_an_absolute_path": "-aF @WORLD@/s/one/a",
    "of_a_list": "-aF -r --files-from=names .",
    "of_a_list_without_recursion": "-aF --files-from=names .",
    "of_a_list_of_files": "-aF --files-from=files .",
    "of_a_list_without_ways": "-aF -r --no-R --files-from=names .",
    "of_entries": "-dF s/one/a/",
    "beside_the_transfer_are_not_read": "-a -f:_.rsync-filter s/one/a",
    "on_the_way_are_read": "-aR -f:_.rsync-filter s/one/a",
    "that_are_not_inherited": "-aR -f:n_.rsync-filter s/one/a",
    "above_that_are_not_inherited": "-a -f:n_/.rsync-filter s/one/a",
    "from_the_directory_above": "-a -f:_../.rsync-filter s/one/a/",
    "from_two_directories_above": "-a -f:_../../.rsync-filter s/one/a/",
    "from_a_place_above": "-a -f:_@WORLD@/s/.rsync-filter s/one/a s/two",
    "from_a_place_that_is_not_above": "-a -f:_@WORLD@/s/one/a/.rsync-filter s/one/a s/two",
}

SOURCE = {"s/one/a/f": F("f"), "s/one/a/k/g": F("g"), "s/one/h": F("h"), "s/two/i": F("i"), "s/two/b/j": F("j"), "dst/old": F("old"),
          "names": F("s/one/a\ns/two/i\n"), "files": F("s/one/a/f\n")}
# (name, words, a place, the text of its rule file)
HIDING = [
    ("beside_an_operand_does_not_hide_it", "-aF s/one", "s", "- one\n- /one\n"),
    ("above_an_operand_does_not_hide_it", "-aF s/one/a", "s/one", "- a\n"),
    ("on_the_way_hides_an_operand", "-aRF s/one/a s/two", "s/one", "- a\n"),
    ("on_the_way_hides_below_an_operand", "-aRF s/one/a s/two", "s", "- f\n- /two/b\n- one/a/k\n"),
    ("on_the_way_hides_a_file", "-aRF s/one/a/f s/two", "s", "- f\n"),
    ("on_the_way_of_a_list_hides", "-aF -r --files-from=names .", "s/one", "- a\n"),
    ("on_the_way_of_files_does_not_hide_them", "-aF --files-from=files .", "s/one", "- f\n"),
    ("of_the_top_hides_a_later_operand", "-aF s/one/ s/two", "s/one", "- i\n- two\n"),
    ("of_the_top_hides_no_earlier_operand", "-aF s/two s/one/", "s/one", "- i\n- two\n"),
    ("of_the_top_is_anchored_there", "-aF s/one/ s/two", "s/one", "- b\n- /two/i\n"),
]
EXCLUDED = {
    "that_is_excluded_brings_no_way": "-aR --exclude=a s/one/a s/two",
    "that_is_a_file_and_excluded_brings_no_way": "-aR --exclude=f s/one/a/f s/two",
    "of_a_list_that_is_excluded_brings_no_way": "-a -r --exclude=a --files-from=names .",
    "that_is_excluded_alone_brings_nothing": "-aR --exclude=/s/one/a/ s/one/a/",
    "that_is_excluded_brings_no_way_without_ways": "-aR --no-implied-dirs --exclude=a s/one/a s/two",
    "is_excluded_by_its_absolute_path": "-a -f-/_@WORLD@/s/one/a s/one/a s/two",
    "holds_what_is_excluded_by_its_absolute_path": "-a -f-/_@WORLD@/s/one/a/f s/one/a s/two",
    "is_not_excluded_by_what_no_path_is": "-a -f-/_@WORLD@/s/a/f s/one/a s/two",
}
KEPT = {"%s/x" % place: F("x") for place in ("dst", "dst/one", "dst/one/a", "dst/one/a/k", "dst/two", "dst/two/b", "dst/a", "dst/a/k", "dst/s", "dst/s/one/a", "dst/s/two")}
# Command lines with --delete, each with a rule file in each of these places.
DELETING = {
    "of_contents": "-aF s/one/", "of_a_directory": "-aF s/one", "of_two_directories": "-aF s/one/a s/two", "of_merged_ones": "-aF s/one/ s/two",
    "of_ways": "-aRF s/./one/a s/./two", "of_ways_below_a_dot": "-aRF ./s/one/a s/two", "below_alone": "-a -f:_.rsync-filter s/one s/two",
    "below_ways_alone": "-aR -f:_.rsync-filter s/./one/a s/./two",
}
WHERE = {"beside": ".rsync-filter", "at_the_top": "dst/.rsync-filter", "on_the_way": "dst/one/.rsync-filter", "in_the_second": "dst/two/.rsync-filter"}


def cases(case):
    """All of them, made by `case` (regressions.Case)."""
    made = [case("rule_files_" + name, {**MARKED, "dst/old": F("old")}, words.split() + ["dst/"]) for name, words in READ.items()]
    made += [case("a_rule_file_" + name, {**SOURCE, place + "/.rsync-filter": F(text)}, words.split() + ["dst/"]) for name, words, place, text in HIDING]
    made.append(case("rule_files_of_a_destination_where_nothing_is_deleted_are_not_read", {**SOURCE, "dst/one/.rsync-filter": F("no rule at all\n")},
                     ["-aF", "s/one", "dst/"]))
    made += [case("an_operand_" + name, SOURCE, words.split() + ["dst/"]) for name, words in EXCLUDED.items()]
    made += [case("a_rule_file_%s_protects_in_runs_%s" % (where, name), {**SOURCE, **KEPT, file: F("P x\nP .rsync-filter\n")}, words.split() + ["--delete", "dst/"])
             for name, words in DELETING.items() for where, file in WHERE.items()]
    return made
