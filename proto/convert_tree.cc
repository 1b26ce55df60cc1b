// Questions to an index and its answers.
#include <string>
#include <utility>

#include "engine/base/errno_status.h"
#include "proto/convert.h"
#include "proto/convert_tables.h"
#include "proto/wire_size.h"

namespace uringsync::convert_internal {
namespace {

constexpr std::string_view kMessage = "TreeReply";

// `get(row)` gives the TreeDigest.
template <typename Get>
void EncodeTable(size_t rows, Get get, v1::TreeTable* table) {
  for (size_t row = 0; row < rows; ++row) {
    table->add_words(get(row).digest.low);
    table->add_words(get(row).digest.high);
  }
  WriteColumn(table->mutable_certain(), rows, [&](size_t row) { return get(row).certain ? 1U : 0U; });
  WriteColumn(table->mutable_entries(), rows, [&](size_t row) { return get(row).below.entries; });
  WriteColumn(table->mutable_files(), rows, [&](size_t row) { return get(row).below.files; });
  WriteColumn(table->mutable_bytes(), rows, [&](size_t row) { return get(row).below.bytes; });
}

class TableReader {
 public:
  absl::Status Init(const v1::TreeTable& table, size_t rows, std::string_view where) {
    US_RETURN_IF_ERROR(CheckCount({where, "words"}, static_cast<size_t>(table.words_size()), 2 * rows));
    US_RETURN_IF_ERROR(certain_.Init(table.certain(), rows, {where, "certain"}));
    US_RETURN_IF_ERROR(entries_.Init(table.entries(), rows, {where, "entries"}));
    US_RETURN_IF_ERROR(files_.Init(table.files(), rows, {where, "files"}));
    words_ = table.words().data();
    return bytes_.Init(table.bytes(), rows, {where, "bytes"});
  }
  TreeDigest operator[](size_t row) const {
    return {{words_[2 * row], words_[2 * row + 1]}, certain_[row] != 0, {entries_[row], files_[row], bytes_[row]}};
  }

 private:
  const uint64_t* words_ = nullptr;
  Column<uint32_t> certain_;
  Column<uint64_t> entries_, files_, bytes_;
};

absl::Status DecodeChildren(const v1::TreeReply& wire, std::vector<TreeRow>* rows) {
  const Where names_of{kMessage, "names"};
  const size_t total = static_cast<size_t>(wire.names().lengths_size());
  US_RETURN_IF_ERROR(CheckBound(names_of, total, kMaxTreeChildren, "subdirectories"));
  Column<uint32_t> counts;
  StringsReader names;
  TableReader table;
  US_RETURN_IF_ERROR(counts.Init(wire.child_counts(), rows->size(), {kMessage, "child_counts"}));
  US_RETURN_IF_ERROR(names.Init(wire.names(), total, kMaxNameBytes, names_of));
  US_RETURN_IF_ERROR(table.Init(wire.children(), total, "TreeReply.children"));
  size_t next = 0;
  for (size_t row = 0; row < rows->size(); ++row) {
    if (counts[row] > total - next) return Bad({kMessage, "child_counts"}, row, "more than there are names");
    std::vector<TreeRow::Child>& children = (*rows)[row].children;
    children.reserve(counts[row]);
    for (const size_t end = next + counts[row]; next < end; ++next) {
      const std::string_view name = names.Next();
      US_RETURN_IF_ERROR(CheckName(names_of, next, name));
      if (!children.empty() && name <= children.back().name)
        return Bad(names_of, next, Quoted(name) + " is out of order");
      children.push_back({std::string(name), table[next]});
    }
  }
  return CheckCount(names_of, total, next);
}

}  // namespace

absl::Status EncodePaths(Where where, const std::vector<RelPath>& paths, size_t bound, v1::Strings* wire) {
  US_RETURN_IF_ERROR(CheckBound(where, paths.size(), bound, "directories"));
  for (const RelPath& path : paths) AddString(wire, path.text());
  return CheckBound(where, wire->text().size(), kMaxPathBytesPerMessage, "bytes of paths");
}

absl::StatusOr<std::vector<RelPath>> DecodePaths(Where where, const v1::Strings& wire, size_t bound) {
  const size_t count = static_cast<size_t>(wire.lengths_size());
  US_RETURN_IF_ERROR(CheckBound(where, count, bound, "directories"));
  StringsReader reader;
  US_RETURN_IF_ERROR(reader.Init(wire, count, kMaxRelPathBytes, where));
  std::vector<RelPath> paths;
  paths.reserve(count);
  for (size_t row = 0; row < count; ++row) {
    US_ASSIGN_OR_RETURN(RelPath path, ParsePath(where, row, reader.Next()));
    paths.push_back(std::move(path));
  }
  return paths;
}

absl::Status EncodeTree(const TreeReply& reply, v1::TreeReply* wire) {
  wire->set_valid(reply.valid);
  US_RETURN_IF_ERROR(CheckBound({kMessage, "found"}, reply.rows.size(), kMaxTreeQuery, "directories"));
  std::vector<const TreeDigest*> children;
  for (const TreeRow& row : reply.rows) {
    wire->add_found(row.found ? 1 : 0);
    for (const TreeRow::Child& child : row.children) {
      AddString(wire->mutable_names(), child.name);
      children.push_back(&child.tree);
    }
  }
  US_RETURN_IF_ERROR(CheckBound({kMessage, "names"}, children.size(), kMaxTreeChildren, "subdirectories"));
  EncodeTable(
      reply.rows.size(), [&](size_t row) -> const TreeDigest& { return reply.rows[row].tree; },
      wire->mutable_directories());
  WriteColumn(wire->mutable_child_counts(), reply.rows.size(),
              [&](size_t row) { return reply.rows[row].children.size(); });
  EncodeTable(
      children.size(), [&](size_t row) -> const TreeDigest& { return *children[row]; }, wire->mutable_children());
  return absl::OkStatus();
}

absl::StatusOr<TreeReply> DecodeTree(const v1::TreeReply& wire) {
  TreeReply reply;
  reply.valid = wire.valid();
  const size_t rows = static_cast<size_t>(wire.found_size());
  US_RETURN_IF_ERROR(CheckBound({kMessage, "found"}, rows, kMaxTreeQuery, "directories"));
  TableReader table;
  US_RETURN_IF_ERROR(table.Init(wire.directories(), rows, "TreeReply.directories"));
  reply.rows.resize(rows);
  for (size_t row = 0; row < rows; ++row) {
    reply.rows[row].found = wire.found(static_cast<int>(row)) != 0;
    reply.rows[row].tree = table[row];
  }
  US_RETURN_IF_ERROR(DecodeChildren(wire, &reply.rows));
  return reply;
}

}  // namespace uringsync::convert_internal
