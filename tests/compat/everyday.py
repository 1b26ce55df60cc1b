"""Everyday command lines and scripts around `rsync`, each with the files that it finds: what people type and what cron runs."""

import re

import zoo
from model import D, F, H, L, Node, below, seconds

OLD, NEW = seconds(-86400), seconds(3600)
SITE = {"index.html": F("<h1>hello</h1>"), "app.js": F("let x = 1;" * 300), "app.js.map": F("map"), "css/site.css": F("body{}"),
    "img/a.jpg": F("jpeg" * 900),
        "img/b.jpg": F("other jpeg"), "img/raw/c.png": F("png"), ".git/config": F("[core]"), ".git/objects/ab/cd": F("object"),
        "empty": D(),
        "docs/read me.txt": F("with a space"), "docs/caf\u00e9.txt": F("not ASCII"), "tmp/cache.o": F("object file"),
        "docs/old~": F("backup")}
DEPLOYED = {"index.html": F("<h1>hallo</h1>", mtime_ns=OLD), "app.js": F("let x = 1;" * 300), "gone.html": F("gone"),
    "uploads/1.jpg": F("theirs"),
            "css/site.css": F("body{}", mode=0o600), "css/old.css": F("old"), "empty-no-more/x": F("x")}
HOME = {"notes.txt": F("notes", xattrs={"user.mood": b"fine"}), "bin/run": F("#!/bin/sh", mode=0o755), "bin/go": H("bin/run"),
    "link": L("notes.txt"),
        "dangling": L("/nowhere/x"), "disk.img": Node("file", pieces=[(65536, b"data" * 2000)], size=2 << 20), "shared": D(mode=0o2775),
        "shared/acl": F("acl", xattrs={"system.posix_acl_access": zoo.ACCESS_ACL}), "pipe": Node("fifo"), "private": D(mode=0o700),
        "private/key": F("k", mode=0o400)}
BIG = F(b"".join(b"line %d of a large file\n" % n for n in range(9000)))
IGNORES = {".rsync-filter": F("- *.o\n- /tmp/\n"), ".gitignore": F("*.o\n*.map\n/tmp/\n"), "src/main.c": F("int main;"),
    "src/main.o": F("o"), "src/.gitignore": F("gen/\n"),
           "src/gen/x.c": F("generated"), "tmp/x": F("x"), "core": F("core"), "a.c~": F("old"), "app.map": F("m"), "RCS/x": F("r")}


def world(**trees):
    """{name of a tree: what is in it} as one world."""
    result = {}
    for name, tree in trees.items():
        result[name.encode()] = D()
        result.update(below(name, tree))
    return result


# In scripts that need an ssh.
REMOTE = re.compile(r"(?:^|[ '])[\w.@-]*:(?!:)[\w~]")
# name: (world, script). The script runs in the world with /bin/sh; `rsync` is whichever is tried.
SCRIPTS = {
    "nightly_backup_with_link_dest_rotation": (world(home=HOME, backups={}), """
        for day in 1 2 3; do
          rsync -a --delete --link-dest="$PWD/backups/latest" home/ "backups/$day/"
          rm -f backups/latest; ln -s "$day" backups/latest
          echo "day $day" > home/diary; rm -f home/link; touch -d @1600000000 home/diary
        done
        rm -rf backups/1"""),
    "web_deploy_with_delete_after_and_filters": (world(build=SITE, site=DEPLOYED), """
        rsync -rlptz --delete-after --exclude='.git/' --exclude='*.map' --filter='protect uploads/' build/ site/"""),
    "mirror_of_a_list_of_files": (world(src=SITE, dst={}), """
        (cd src && find . -name '*.jpg' -o -name '*.txt' | sort) | rsync -a --files-from=- src/ dst/"""),
    "list_of_files_with_odd_names": (world(src=SITE, dst={}), """
        (cd src && find docs -type f -print0 | sort -z) > list; rsync -a --from0 --files-from=list src dst"""),
    "home_directory_with_everything": (world(home=HOME, dst={}),
        "rsync -aHAXS --numeric-ids home/ dst/ && rsync -aHAXS --numeric-ids --delete home/ dst/"),
    "resume_of_a_partial_file": (world(src={"big": BIG}, dst={"big": F(BIG.data[:100000])}),
        "rsync -a --partial --append-verify src/big dst/"),
    "download_again_with_P": (world(src={"big": BIG}, dst={"big": F(BIG.data[:100000], mtime_ns=OLD)}),
        "rsync -aP src/big dst/ > /dev/null"),
    "deploy_with_chown_and_chmod": (world(build=SITE, site=DEPLOYED), "rsync -a --chown=daemon:bin --chmod=D755,F644 build/ site/"),
    "quiet_mirror_from_cron": (world(src=SITE, mirror=DEPLOYED), "rsync -aq --delete src/ mirror/; rsync -aq --delete src/ mirror/"),
    "emptying_a_directory": (world(dst=SITE), "mkdir empty; rsync -a --delete empty/ dst/"),
    "plan_kept_in_a_file": (world(src=SITE, dst=DEPLOYED), "rsync -ani --delete src/ dst/ | sort > plan.txt"),
    "count_of_what_changed": (world(src=SITE, dst=DEPLOYED), "changed=$(rsync -ai src/ dst/ | grep -c '^>f'); echo \"$changed files\""),
    "one_file_and_its_new_name": (world(src=SITE, dst={}),
        "rsync -a src/index.html dst/; rsync -a src/index.html dst/start.html; rsync src/app.js dst"),
    "several_sources": (world(src=SITE, home=HOME, dst={}), "rsync -a src/css src/img/ home/bin src/index.html dst/"),
    "whole_path_names": (world(etc=SITE, usr=HOME, dst={}), "rsync -aR etc/./img/raw usr/bin dst/"),
    "backup_with_a_list_of_exclusions": (world(home=SITE, dst={}), """
        printf '%s\\n' '# not these' '*.o' '/.git' 'tmp/' '*~' > exclude.txt
        rsync -a --delete --delete-excluded --exclude-from=exclude.txt home/ dst/"""),
    "only_pictures": (world(src=SITE, dst={}), "rsync -am --include='*/' --include='*.jpg' --exclude='*' src/ dst/"),
    "moving_files_away": (world(spool=SITE, archive={}),
        "rsync -a --remove-source-files spool/ archive/ && find spool -mindepth 1 -type d -empty -delete"),
    "newer_files_both_ways": (world(a={"x": F("old"), "y": F("new y", mtime_ns=NEW), "only-a": F("a")},
        b={"x": F("new x", mtime_ns=NEW), "y": F("y"), "only-b": F("b")}),
        "rsync -au a/ b/; rsync -au b/ a/"),
    "refresh_of_what_is_there": (world(src=SITE, dst=DEPLOYED), "rsync -a --existing src/ dst/"),
    "backup_of_what_is_replaced": (world(src=SITE, dst=DEPLOYED), "rsync -ab --delete --backup-dir=../changes-monday src/ dst/"),
    "backup_beside_what_is_replaced": (world(src=SITE, dst=DEPLOYED), "rsync -ab --suffix=.bak src/ dst/"),
    "defaults_for_what_is_missing": (world(skel=SITE, home=DEPLOYED), "rsync -a --ignore-existing skel/ home/"),
    "push_over_ssh": (world(src=SITE, dst=DEPLOYED), "rsync -az --delete -e ssh src/ backup.example:dst/"),
    "pull_over_ssh": (world(src=SITE), "rsync -avz user@host.example:src/ local/ | grep -v -e '^sent' -e '^total' -e incremental | sort"),
    "push_of_the_home_directory_over_ssh": (world(home=HOME, dst={}), "rsync -aHAXS --numeric-ids home/ root@host:dst/"),
    "pull_of_patterns_over_ssh": (world(src=SITE, local={}), "rsync -a 'host:src/img/*.jpg' :src/docs local/"),
    "listing_over_ssh": (world(src=SITE), "rsync host:src/ | grep -v ^d > listing; rsync -r host:src/docs/ | wc -l > count"),
    "relative_push_over_ssh": (world(src=SITE, dst={}), "rsync -aR src/./docs src/./img/raw host:dst/"),
    "rotation_over_ssh": (world(home=HOME, backups={}), """
        rsync -a home/ host:backups/1/
        echo "day 2" > home/diary; touch -d @1600000000 home/diary
        rsync -a --delete --link-dest=../1 home/ host:backups/2/"""),
    "resume_over_ssh": (world(src={"big": BIG}, local={"big": F(BIG.data[:100000])}), "rsync -aP --append-verify host:src/big local/ > /dev/null"),
    "mirror_of_a_list_over_ssh": (world(src=SITE, dst=DEPLOYED), """
        (cd src && find docs img -type f) > list; rsync -a --files-from=list --delete-missing-args src/ host:dst/
        rsync -a --files-from=:list host:src/ again/"""),
    "nothing_over_there": (world(src=SITE), "rsync -a host:not-there/ local/ || echo $? > code"),
    "small_files_first": (world(src=SITE, dst={}), "rsync -a --max-size=1k src/ dst/; rsync -a src/ dst/"),
    "check_by_contents": (world(src=SITE, dst=DEPLOYED),
        "rsync -a src/ dst/; printf y | dd of=dst/app.js conv=notrunc status=none; touch -r src/app.js dst/app.js; "
        "rsync -anc --itemize-changes src/ dst/"),
    "per_directory_filter_files": (world(src=IGNORES, dst={}), "rsync -aFF src/ dst/"),
    "ignored_by_git": (world(src=IGNORES, dst={}), "rsync -a --filter=':- .gitignore' --delete src/ dst/"),
    "ignored_by_cvs": (world(src=IGNORES, dst={}), "rsync -aC src/ dst/"),
    "missing_source_is_told": (world(src=SITE, dst={}),
        "rsync -a src/index.html src/nothing dst/ 2>errors || echo \"exit $?\"; [ -s errors ] && rm errors"),
    "transferred_files_from_the_statistics": (world(src=SITE, dst=DEPLOYED), "rsync -a --stats src/ dst/ | grep -e 'Number of' | sort"),
    "publication_of_what_links_lead_to": (world(src={"current": L("v2"), "v2/page": F("two"), "v1/page": F("one"), "old": L("v1/page")},
        dst={}), "rsync -aL src/ dst/"),
    "links_to_directories_at_the_destination": (world(src={"data/x": F("x"), "data/y": F("y")}, dst={"data": L("../disk2")},
        disk2={"y": F("old")}),
                                                "rsync -aK src/ dst/"),
    "disk_image_in_place": (world(src={"disk": BIG.but(data=BIG.data[:50000] + b"changed!" + BIG.data[50008:], mtime_ns=NEW)},
        dst={"disk": BIG}),
                            "rsync -a --inplace --no-whole-file src/disk dst/disk"),
    "directories_alone": (world(src=SITE, dst={}), "rsync -a -f'+ */' -f'- *' src/ dst/"),
    "one_by_one": (world(src=SITE, flat={}), "find src/img -name '*.jpg' -exec rsync -a {} flat/ ';'"),
    "all_at_once_at_the_end": (world(build=SITE, site=DEPLOYED), "rsync -a --delay-updates --delete-delay build/ site/"),
    "temporary_directory_elsewhere": (world(build=SITE, site=DEPLOYED, staging={}),
        "rsync -a -T \"$PWD/staging\" build/ site/; rmdir staging"),
    "names_of_what_is_done": (world(src=SITE, dst=DEPLOYED),
        "rsync -a --delete --info=name,del src/ dst/ | sort; rsync -a --out-format='%o %n %l' src/ dst/"),
    "listing": (world(src=SITE), "rsync src/; rsync -r src/ | awk '{print $NF}' | sort"),
    "new_path": (world(src=SITE), "rsync -a --mkpath src/img/ mirror/2020/09/img/"),
    "guard_against_too_many_deletions": (world(src={"a": F("a")}, dst=DEPLOYED),
        "rsync -a --delete --max-delete=2 src/ dst/ 2>/dev/null || echo \"exit $?\""),
    "what_the_full_backup_lacks": (world(src=SITE, full=DEPLOYED, increment={}), "rsync -a --compare-dest=../full src/ increment/"),
    "verbose_run": (world(src=SITE, dst=DEPLOYED), "rsync -av --delete src/ dst/ | grep -v -e '^sent'"),
    "one_file_system": (world(src=SITE, dst={}), "rsync -ax --delete src/ dst/"),
    "unknown_option": (world(src=SITE, dst={}), "rsync -a --no-such-option src/ dst/ 2>/dev/null || echo \"exit $?\""),
    "retry_until_it_works": (world(late=SITE),
        "n=0; until rsync -a src/ dst/ 2>/dev/null; do n=$((n+1)); [ $n -gt 3 ] && exit 9; mv late src; done; echo $n"),
}
