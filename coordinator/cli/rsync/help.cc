#include "coordinator/cli/rsync/help.h"

#include <nlohmann/json.hpp>

#include "coordinator/cli/rsync/option_table.h"
#include "proto/handshake.h"
#include "proto/messages.h"

namespace uringsync {
namespace {

constexpr size_t kOptionColumns = 30;
constexpr char kUrsyncUsage[] =
    "ursync copies files and trees as rsync does, with rsync's options and defaults.\n\n"
    "Usage: ursync [OPTION]... SRC [SRC]... DEST\n"
    "  or   ursync [OPTION]... SRC          lists it\n\n"
    "SRC and DEST are paths of this host, [USER@]HOST:PATH over a remote shell (further sources of that host: :PATH), "
    "or\n"
    "agent://HOST[:PORT]/ROOT[/PATH], a directory of a running uringsync-agent.\n";
constexpr char kEndpoints[] =
    "\nAn endpoint is a directory of this host, [USER@]HOST:PATH over a remote shell, or\n"
    "agent://HOST[:PORT]/ROOT[/PATH], a directory below a named root of a running uringsync-agent. DST becomes equal "
    "to SRC: the tree below SRC goes below DST, with or\n"
    "without a trailing '/'.\n";
constexpr char kExitCodes[] =
    "\nExit codes: 0 all as asked, 1 usage, 2 protocol version, 3 wrong source or destination, 11 file I/O or locked,\n"
    "12 agent or connection lost, 20 interrupted, 23 some objects failed (verify: differ), 24 some vanished,\n"
    "25 deletes left out (--max-delete, or SRC is not mounted as before), 30 time-out.\n";

std::string Usage(Command command) {
  switch (command) {
    case Command::kUrsync: return kUrsyncUsage;
    case Command::kSync: return "Make DST equal to SRC\n\nUsage: uringsync sync [OPTION]... SRC DST\n";
    case Command::kPlan:
      return "Show what a sync would do, one line an object; change nothing\n\nUsage: uringsync plan [OPTION]... SRC "
             "DST\n";
    case Command::kVerify:
      return "Compare two trees by content and metadata; list what differs\n\nUsage: uringsync verify [OPTION]... SRC "
             "DST\n       uringsync verify [OPTION]... --proof=FILE DIR\n";
    case Command::kProve:
      return "Write down what a tree is, to be checked later without another tree\n\nUsage: uringsync prove "
             "[OPTION]... "
             "--out=FILE DIR\n";
    case Command::kExplain:
      return "Say why a sync would copy, leave out, keep or delete these paths, and what differs\n\n"
             "Usage: uringsync explain [OPTION]... SRC DST PATH...\n";
    case Command::kApply:
      return "Carry out the plan of a file that --plan-out wrote\n\nUsage: uringsync apply [OPTION]... FILE\n";
  }
  return {};
}

std::string Footer(Command command) {
  switch (command) {
    case Command::kUrsync:
      return "\n--no-OPTION switches an option off. What cannot be done is refused by name; "
             "docs/rsync-compatibility.md tells of every\n"
             "option of rsync. With URSYNC_FALLBACK=rsync in the environment the real rsync is run for what is "
             "refused.\n";
    case Command::kSync:
      return std::string(kEndpoints) +
             "\nEverything is kept by default: owner, group, mode, times, links, hard links, devices, xattrs, ACLs, "
             "holes\n"
             "(--no-OPTION switches a part off). What this process may not set (ownership, devices, privileged xattrs) "
             "is\n"
             "left out and counted, unless an option names it.\n\n"
             "Examples:\n"
             "  uringsync sync --delete /srv/data /mnt/backup/data\n"
             "  uringsync sync -n -v /srv/data agent://backup1/pool/data\n" +
             kExitCodes;
    case Command::kPlan:
      return std::string(kEndpoints) +
             "\nEach line has rsync's itemised form, e.g. '>f.st...... dir/file': YXcstpoguax with Y '>' contents "
             "move,\n"
             "'c' made at the destination, 'h' hard link, '.' metadata only; X the kind; then what differs.\n"
             "docs/cli.md has the table.\n" +
             kExitCodes;
    case Command::kVerify:
      return std::string(kEndpoints) +
             "\nBoth sides read every byte. Exit 0: equal. Exit 23: something differs, and is listed. What differs is "
             "looked at\n"
             "twice: what changed meanwhile is listed as changing.\n"
             "With --proof only options that prove has mean something; filter rules stand in FILE.\n" +
             kExitCodes;
    case Command::kProve:
      return std::string(
                 "\nDIR is a directory of this host, [USER@]HOST:PATH or agent://HOST[:PORT]/ROOT[/PATH]. FILE gets a "
                 "line for each object,\n"
                 "with its metadata and the SHA-256 of its contents and of its attributes, and a SHA-256 of all that, "
                 "which is printed:\n"
                 "noted elsewhere, it stands for the whole tree. What could not be read, or changed meanwhile, is "
                 "listed; then there is no\n"
                 "proof (exit 23). The metadata options say what is compared later.\n") +
             kExitCodes;
    case Command::kExplain:
      return std::string(kEndpoints) +
             "\nPATH is below SRC, or begins with SRC or DST as they are written. The options are those of the sync in "
             "question; nothing\n"
             "is changed. Exit 23: a PATH is on neither side.\n" +
             kExitCodes;
    case Command::kApply:
      return std::string(
                 "\nWhat is copied, and how, stands in the plan; the options here say how the run goes on and what it "
                 "tells.\n"
                 "Each object of the plan, at SRC and at DST, has to be what it was when the plan was made. One that "
                 "is not is\n"
                 "told and left alone (exit 23); what is done already is passed over. -n: look, change nothing.\n") +
             kExitCodes;
  }
  return {};
}

// Switched off, it is not as it is by default.
bool OffMatters(const OptionRow& row, Command command) {
  Settings settings = Settings::For(command);
  (void)row.off(settings, "");
  return settings != Settings::For(command);
}

// "  --name, -n=ARG" padded, with the text behind it.
std::string Line(const OptionRow& row, Command command) {
  const bool shows_off =
      row.off != nullptr && row.name != nullptr && row.argument == nullptr && OffMatters(row, command);
  std::string line = "  " + row.Name();
  if (row.name != nullptr && row.letter != 0) line += std::string(", -") + row.letter;
  if (row.argument != nullptr) line += std::string(row.name != nullptr ? "=" : " ") + row.argument;
  if (shows_off) line += ", --no-" + std::string(row.name);
  if (line.size() + 2 > kOptionColumns) {
    line += "\n" + std::string(kOptionColumns, ' ');
  } else {
    line.resize(kOptionColumns, ' ');
  }
  return line + row.help + "\n";
}

}  // namespace

std::string HelpText(Command command) {
  std::string text = Usage(command);
  for (const OptionGroup& group : OptionTable()) {
    std::string lines;
    for (const OptionRow& row : group.rows) {
      if (row.IsFor(command) && row.help != nullptr && row.refused == nullptr) lines += Line(row, command);
    }
    if (!lines.empty()) text += "\n" + std::string(group.title) + ":\n" + lines;
  }
  return text + Footer(command);
}

std::string VersionText() {
  return "ursync  version " + std::string(SoftwareVersion()) + "  protocol version " +
         std::to_string(kProtocolVersion) +
         "\n"
         "rsync's command line for uringsync; its far end is uringsync-agent, never an rsync.\n"
         "Capabilities:\n"
         "    64-bit files, 64-bit inums, 64-bit timestamps, 64-bit long ints,\n"
         "    socketpairs, symlinks, symtimes, hardlinks, hardlink-specials,\n"
         "    hardlink-symlinks, IPv6, atimes, no batchfiles, ACLs, xattrs, no iconv,\n"
         "    stop-at, no crtimes\n"
         "Checksum list:\n"
         "    xxh128\n"
         "Compress list:\n"
         "    zstd none\n";
}

std::string VersionJson() {
  nlohmann::ordered_json json;
  json["program"] = "ursync";
  json["version"] = std::string(SoftwareVersion());
  json["protocol"] = std::to_string(kProtocolVersion) + ".0";
  json["copyright"] = "the authors of uringsync";
  json["url"] = "";
  nlohmann::ordered_json& can = json["capabilities"];
  for (const char* bits : {"file_bits", "inum_bits", "timestamp_bits", "long_int_bits"}) can[bits] = 64;
  for (const char* ability : {"socketpairs", "symlinks", "symtimes", "hardlinks", "hardlink_specials",
                              "hardlink_symlinks", "IPv6", "atimes"}) {
    can[ability] = true;
  }
  // What the option table refuses is not there.
  const auto supported = [](std::string_view name) {
    for (const OptionGroup& group : OptionTable()) {
      for (const OptionRow& row : group.rows) {
        if (row.name != nullptr && row.name == name && row.IsFor(Command::kUrsync)) return row.refused == nullptr;
      }
    }
    return false;
  };
  can["batchfiles"] = supported("write-batch");
  can["inplace"] = supported("inplace");
  can["append"] = supported("append");
  can["ACLs"] = supported("acls");
  can["ACL_at"] = supported("acls");
  can["xattrs"] = supported("xattrs");
  can["secluded_args"] = "optional";
  can["iconv"] = supported("iconv");
  can["prealloc"] = supported("preallocate");
  can["stop_at"] = supported("stop-at");
  can["crtimes"] = supported("crtimes");
  json["optimizations"] = {{"SIMD_roll", true}, {"asm_roll", false}, {"openssl_crypto", true}, {"asm_MD5", false}};
  json["checksum_list"] = {"xxh128"};
  json["compress_list"] = {"zstd", "none"};
  json["daemon_auth_list"] = nlohmann::ordered_json::array();
  json["license"] = "see LICENSE";
  json["caveat"] = "ursync comes without any warranty";
  return json.dump(2) + "\n";
}

}  // namespace uringsync
