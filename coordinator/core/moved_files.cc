#include "coordinator/core/moved_files.h"

#include <algorithm>
#include <utility>

#include "engine/base/errno_status.h"
#include "engine/base/time_range.h"

namespace uringsync {
namespace {

constexpr size_t kNumberBytes = 8;
constexpr uint64_t kSignBit = uint64_t{1} << 63;

bool HasContents(const Entry& entry) {
  return entry.type == FileType::kRegular && entry.size_bytes > 0;
}

// The path from its end, each component behind a NUL: what lies in directories of the same names is side by side.
std::string Backwards(const RelPath& path) {
  std::string out;
  out.reserve(path.text().size() + 1);
  std::string_view rest = path.text();
  while (true) {
    const size_t slash = rest.rfind('/');
    out += slash == std::string_view::npos ? rest : rest.substr(slash + 1);
    out += '\0';
    if (slash == std::string_view::npos) return out;
    rest = rest.substr(0, slash);
  }
}

// How many components both share from the file upwards.
size_t CommonComponents(std::string_view a, std::string_view b) {
  const size_t end = std::min(a.size(), b.size());
  size_t components = 0;
  for (size_t i = 0; i < end && a[i] == b[i]; ++i) components += a[i] == '\0';
  return components;
}

std::string_view KeyOf(std::string_view record) {
  RecordReader reader(record);
  return reader.GetBytes();
}

bool KeyLess(std::string_view a, std::string_view b) {
  return KeyOf(a) < KeyOf(b);
}

bool NumberLess(std::string_view a, std::string_view b) {
  return a.substr(0, kNumberBytes) < b.substr(0, kNumberBytes);
}

}  // namespace

struct MovedFiles::Item {
  uint64_t put = 0;  // its number; 0: a candidate
  RelPath path;
  bool replaces = false;  // of a put: another file has its name
  Fate fate = Fate::kStays;
  Entry object;  // of a put only size and time

  std::string group;      // within which items may belong together
  std::string backwards;  // of the path
};

// Pairs the items of one pass, which come sorted by group, then place. At most three are in memory.
class MovedFiles::Matching {
 public:
  Matching(MovedFiles* owner, Pass pass) : owner_(owner), pass_(pass) {}

  absl::Status Take(Item item) {
    if (item.group != group_) {
      US_RETURN_IF_ERROR(End());
      group_ = item.group;
    }
    if (item.put == 0) return TakeCandidate(std::move(item));
    // A later put is nearer to what comes behind it.
    US_RETURN_IF_ERROR(Settle(nullptr));
    waiting_ = std::move(item);
    return absl::OkStatus();
  }

  absl::Status End() {
    US_RETURN_IF_ERROR(Settle(nullptr));
    return DropBefore();
  }

 private:
  absl::Status TakeCandidate(Item item) {
    bool used = false;
    US_RETURN_IF_ERROR(Settle(&item, &used));
    US_RETURN_IF_ERROR(DropBefore());
    before_ = std::move(item);
    before_used_ = used;
    return absl::OkStatus();
  }

  // The candidate in front leaves the pass.
  absl::Status DropBefore() {
    if (before_ && !before_used_) US_RETURN_IF_ERROR(owner_->PassOn(pass_, *before_));
    before_.reset();
    before_used_ = false;
    return absl::OkStatus();
  }

  bool Fits(const Item& put, const Item& candidate) const {
    if (put.path == candidate.path) return false;
    // What only has the name and the length is no reason to touch a file that is there.
    return pass_ != Pass::kSizeName || (!put.replaces && candidate.fate != Fate::kReplaced);
  }

  // Gives the waiting put the better one of the candidates in front of it and behind it.
  absl::Status Settle(const Item* behind, bool* behind_used = nullptr) {
    if (!waiting_) return absl::OkStatus();
    const Item put = *std::exchange(waiting_, std::nullopt);
    const bool front = before_ && Fits(put, *before_);
    const bool back = behind != nullptr && Fits(put, *behind);
    const size_t like_front = front ? CommonComponents(put.backwards, before_->backwards) : 0;
    const size_t like_back = back ? CommonComponents(put.backwards, behind->backwards) : 0;
    if (back && (!front || before_used_ || like_back > like_front)) {
      *behind_used = true;
      return owner_->AddMatch(put.put, *behind);
    }
    if (front && !before_used_) {
      before_used_ = true;
      return owner_->AddMatch(put.put, *before_);
    }
    // One file became several.
    if (front && pass_ == Pass::kSizeTimeName) {
      Item copied = *before_;
      if (copied.fate == Fate::kGoes) copied.fate = Fate::kStays;
      return owner_->AddMatch(put.put, copied);
    }
    return owner_->PassOn(pass_, put);
  }

  MovedFiles* const owner_;
  const Pass pass_;
  std::string group_;
  std::optional<Item> before_;  // the last candidate
  bool before_used_ = false;
  std::optional<Item> waiting_;  // a put that may be more like the next candidate
};

MovedFiles::MovedFiles(Driver* driver, const std::string& directory, const PlanOptions& options)
    : driver_(driver),
      directory_(directory),
      replaced_count_(!options.in_place),
      time_granularity_ns_(options.policy.time_granularity_ns),
      time_range_(options.policy.time_range),
      puts_(driver, {kSpoolMemoryBytes, directory}),
      matches_(driver, NumberLess, {kSortMemoryBytes, directory}),
      items_(std::make_unique<ExternalSorter>(driver, KeyLess, ExternalSorterOptions{kSortMemoryBytes, directory})) {}

bool MovedFiles::IsPut(const PlannedAction& planned) {
  return planned.action.kind == ActionKind::kPutFile && !planned.action.basis && HasContents(planned.action.wanted);
}

FileTime MovedFiles::KeptTime(const FileTime& time) const {
  return TruncateTime(time_range_.Clamp(time), time_granularity_ns_);
}

absl::Status MovedFiles::AddPut(const PlannedAction& planned) {
  const Action& action = planned.action;
  writer_.Clear();
  writer_.PutDifferences(planned.differences);
  writer_.PutAction(action);
  US_RETURN_IF_ERROR(puts_.Append(writer_.bytes()));
  Item put;
  put.put = ++put_count_;
  put.path = action.path;
  const bool replaces = action.existing && HasContents(*action.existing);
  if (replaces && !replaced_count_) return absl::OkStatus();
  put.replaces = action.existing.has_value();
  put.object.size_bytes = action.wanted.size_bytes;
  put.object.mtime = action.wanted.mtime;
  US_RETURN_IF_ERROR(AddItem(Pass::kSizeTimeName, put));
  return replaces ? AddCandidate(action.path, *action.existing, Fate::kReplaced) : absl::OkStatus();
}

absl::Status MovedFiles::AddCandidate(const RelPath& path, const Entry& entry, Fate fate) {
  if (!HasContents(entry)) return absl::OkStatus();
  ++candidate_count_;
  Item candidate;
  candidate.path = path;
  candidate.fate = fate;
  candidate.object = entry;
  return AddItem(Pass::kSizeTimeName, candidate);
}

absl::Status MovedFiles::AddItem(Pass pass, const Item& item) {
  const FileTime time = KeptTime(item.object.mtime);
  RecordWriter key;
  key.PutKey(item.object.size_bytes);
  if (pass != Pass::kSizeName) {
    key.PutKey(static_cast<uint64_t>(time.seconds) ^ kSignBit);
    key.PutKey(time.nanoseconds);
  }
  const size_t name_bytes = pass == Pass::kSizeTime ? 0 : item.path.name().size() + 1;
  const size_t group_bytes = key.bytes().size() + name_bytes;
  writer_.Clear();
  writer_.PutBytes(key.bytes() + Backwards(item.path));
  writer_.PutNumber(group_bytes);
  writer_.PutNumber(item.put);
  writer_.PutByte(item.replaces ? 1 : 0);
  writer_.PutByte(static_cast<uint8_t>(item.fate));
  writer_.PutPath(item.path);
  writer_.PutEntry(item.object);
  return items_->Add(writer_.bytes());
}

absl::Status MovedFiles::PassOn(Pass pass, const Item& item) {
  switch (pass) {
    case Pass::kSizeTimeName: return AddItem(Pass::kSizeTime, item);
    case Pass::kSizeTime: return AddItem(Pass::kSizeName, item);
    case Pass::kSizeName: break;
  }
  return absl::OkStatus();
}

absl::Status MovedFiles::AddMatch(uint64_t put, const Item& candidate) {
  writer_.Clear();
  writer_.PutKey(put);
  const ActionOrigin origin{.path = candidate.path, .object = candidate.object, .fate = candidate.fate};
  writer_.PutOrigin(&origin);
  return matches_.Add(writer_.bytes());
}

absl::Status MovedFiles::RunPass(Pass pass) {
  const std::unique_ptr<ExternalSorter> items = std::exchange(
      items_, std::make_unique<ExternalSorter>(driver_, KeyLess, ExternalSorterOptions{kSortMemoryBytes, directory_}));
  US_RETURN_IF_ERROR(items->Finish());
  Matching matching(this, pass);
  std::string record;
  while (true) {
    US_ASSIGN_OR_RETURN(const bool more, items->Next(&record));
    if (!more) return matching.End();
    RecordReader reader(record);
    const std::string_view key = reader.GetBytes();
    const uint64_t group_bytes = reader.GetNumber();
    Item item;
    item.put = reader.GetNumber();
    item.replaces = reader.GetByte() != 0;
    item.fate = static_cast<Fate>(reader.GetByte());
    item.path = reader.GetPath();
    item.object = reader.GetEntry();
    if (!reader.ok() || group_bytes > key.size()) return DamagedSpool();
    item.group = key.substr(0, group_bytes);
    item.backwards = Backwards(item.path);
    US_RETURN_IF_ERROR(matching.Take(std::move(item)));
  }
}

absl::Status MovedFiles::EmitAll(PlanEmitter& emitter) {
  if (put_count_ > 0 && candidate_count_ > 0) {
    for (const Pass pass : {Pass::kSizeTimeName, Pass::kSizeTime, Pass::kSizeName}) US_RETURN_IF_ERROR(RunPass(pass));
  }
  items_.reset();
  US_RETURN_IF_ERROR(matches_.Finish());
  std::string match;
  US_ASSIGN_OR_RETURN(bool more_matches, matches_.Next(&match));
  Spool::Reader puts = puts_.Forward();
  std::string record;
  for (uint64_t put = 1;; ++put) {
    US_ASSIGN_OR_RETURN(const bool more, puts.Next(&record));
    if (!more) return absl::OkStatus();
    RecordReader reader(record);
    PlannedAction planned;
    planned.differences = reader.GetDifferences();
    planned.action = reader.GetAction();
    if (!reader.ok()) return DamagedSpool();
    if (more_matches) {
      RecordReader matched(match);
      if (matched.GetKey() == put) {
        planned.action.origin = matched.GetOrigin();
        if (!matched.ok()) return DamagedSpool();
        US_ASSIGN_OR_RETURN(more_matches, matches_.Next(&match));
      }
    }
    US_RETURN_IF_ERROR(emitter.Emit(Phase::kCreate, std::move(planned)));
  }
}

}  // namespace uringsync
