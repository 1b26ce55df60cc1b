# Fails when an object of the agent imports a call of the C library that takes a path, or starts a program, and is not on the list: whatever a peer names
# must go through the engine's Driver, beneath an open root.
#   cmake -DNM=nm -DLIST=agent/path_calls.txt -DARCHIVES=a.a,b.a -P cmake/CheckAgentImports.cmake
set(calls
  access acl_get_file acl_set_file bind_textdomain_codeset chdir chmod chown chroot connect bind creat creat64 dlopen euidaccess
  execl execle execlp execv execve execveat execvp execvpe faccessat fanotify_mark fchmodat fchownat fopen fopen64 freopen freopen64 fstatat fstatat64 ftw
  ftw64 futimesat getxattr glob glob64 inotify_add_watch lchown lgetxattr link linkat listxattr llistxattr lremovexattr lsetxattr lstat lstat64
  lutimes mkdir mkdirat mkdtemp mkfifo mkfifoat mknod mknodat mkostemp mkostemp64 mkstemp mkstemp64 mount name_to_handle_at nftw nftw64
  open open64 openat openat64 opendir pathconf pivot_root popen posix_spawn posix_spawnp readlink readlinkat realpath remove removexattr rename
  renameat renameat2 rmdir scandir scandir64 setxattr stat stat64 statfs statfs64 statvfs statvfs64 statx symlink symlinkat syscall system tempnam tmpfile
  tmpfile64 truncate truncate64 umount umount2 unlink unlinkat utime utimensat utimes __fxstatat __lxstat __open64_2 __open_2 __openat_2
  __readlink_chk __realpath_chk __xstat)
string(REPLACE ";" "|" pattern "${calls}")
set(streams "_ZN[A-Za-z0-9_]*basic_(ifstream|ofstream|fstream|filebuf)[A-Za-z0-9_]*(C[12]E|4open)[A-Za-z0-9_]*")
# Everything but paths as values.
set(trees "_ZNSt10filesystem[0-9]+(absolute|canonical|weakly_canonical|copy|create|current|equivalent|exists|file|hard|last|permissions|proximate|read|relative|remove|rename|resize|space|status|symlink|temp)[A-Za-z0-9_]*|_ZNSt10filesystem[0-9_a-z]*directory_iterator[A-Za-z0-9_]*")
string(REPLACE "," ";" archives "${ARCHIVES}")
execute_process(COMMAND ${NM} -u --print-file-name ${archives} OUTPUT_VARIABLE symbols ERROR_VARIABLE complaints RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "${NM} cannot read the agent's libraries: ${complaints}")
endif()
string(REGEX MATCHALL "[^:/\n]+\\.o: +U (${pattern}|${streams}|${trees})(@[^\n]*)?\n" lines "${symbols}")
set(found)
foreach(line IN LISTS lines)
  string(REGEX REPLACE "^([^:]+)\\.o: +U ([^@\n]+).*$" "\\1 \\2" import "${line}")
  string(REGEX REPLACE " ${streams}$" " std::fstream" import "${import}")
  string(REGEX REPLACE " _ZNSt10filesystem.*$" " std::filesystem" import "${import}")
  list(APPEND found "${import}")
endforeach()
list(REMOVE_DUPLICATES found)
file(STRINGS "${LIST}" rows REGEX "^[^#]")
set(allowed)
foreach(row IN LISTS rows)
  string(REGEX REPLACE "^([^ ]+ [^ ]+) +[^ ].*$" "\\1" entry "${row}")
  if(entry STREQUAL row)
    message(FATAL_ERROR "${LIST}: no reason is given in: ${row}")
  endif()
  list(APPEND allowed "${entry}")
endforeach()
set(unknown ${found})
list(REMOVE_ITEM unknown ${allowed})
set(unused ${allowed})
list(REMOVE_ITEM unused ${found})
list(JOIN unknown "\n  " unknown_text)
list(JOIN unused "\n  " unused_text)
if(unknown)
  message(FATAL_ERROR "The agent imports calls that take paths or start programs, past its Driver:\n  ${unknown_text}\n"
    "Use engine/fs beneath an open root, or, where no peer has a word in it, say why in ${LIST}.")
endif()
if(unused)
  message(FATAL_ERROR "${LIST} allows what nothing imports any more:\n  ${unused_text}")
endif()
