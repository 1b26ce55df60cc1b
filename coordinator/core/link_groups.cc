#include "coordinator/core/link_groups.h"

#include <utility>

#include "engine/base/errno_status.h"

namespace uringsync {
namespace {

// Keys: device, inode, then for groups of the source the rank and the directory, then the order of Add; all big-endian.
constexpr size_t kOrderOffset = 16;  // in those of the destination
constexpr size_t kDestinationKeyBytes = 24;
constexpr size_t kSourceKeyBytes = 33;

// Within a group the best leader sorts first.
enum Rank : uint8_t { kMatches = 0, kInBasis, kSimilar, kNew, kWaits };

template <size_t kBytes>
bool KeyLess(std::string_view a, std::string_view b) {
  return a.substr(0, kBytes) < b.substr(0, kBytes);
}

void PutMember(const LinkMember& member, RecordWriter* writer) {
  writer->PutNumber(member.directory);
  writer->PutPath(member.path);
  writer->PutEntry(member.source);
  writer->PutOptionalEntry(AddressOrNull(member.destination));
  writer->PutDifferences(member.differences);
  writer->PutByte(static_cast<uint8_t>((member.waits ? 1 : 0) | (member.link_basis ? 2 : 0)));
  writer->PutBasis(AddressOrNull(member.basis));
}

absl::StatusOr<LinkMember> GetMember(std::string_view record, size_t key_bytes) {
  if (record.size() < key_bytes) return DamagedSpool();
  RecordReader reader(record.substr(key_bytes));
  LinkMember member;
  member.directory = reader.GetNumber();
  member.path = reader.GetPath();
  member.source = reader.GetEntry();
  member.destination = reader.GetOptionalEntry();
  member.differences = reader.GetDifferences();
  const uint8_t bits = reader.GetByte();
  member.waits = (bits & 1) != 0;
  member.link_basis = (bits & 2) != 0;
  member.basis = reader.GetBasis();
  if (!reader.ok()) return DamagedSpool();
  return member;
}

// The time of an inode that several names share is never changed: by its time an action on another name recognises the
// object it was planned against. The name gets a new inode instead. (Mode, owner and the rest are no part of that
// identity.)
bool ChangesSharedTime(const LinkMember& member) {
  return member.destination->nlink > 1 && member.differences.Has(Attribute::kMtime);
}

// What the destination has under the name may stay, with other attributes maybe.
bool Stays(const LinkMember& member) {
  return member.destination && !member.waits && !member.differences.NeedsObject() &&
         !member.differences.Has(Attribute::kHardLink) && !ChangesSharedTime(member) && !member.basis;
}

Rank RankOf(const LinkMember& member) {
  if (member.waits) return kWaits;
  // As with rsync the first name of these leads.
  if (Stays(member) || member.link_basis) return kMatches;
  // No contents have to come for it, so none have to come for the others.
  if (member.basis) return kInBasis;
  // Or not all of them: some other contents are there under this name.
  const Differences& differences = member.differences;
  return differences.Has(Attribute::kExistence) || differences.Has(Attribute::kType) ? kNew : kSimilar;
}

// What is told of a name that becomes a link of a leader; `leader_basis`: the object of a basis directory that the
// leader is a link of. As rsync tells it: nothing of names that were linked in the basis directory as well, and where
// there is nothing, a copied basis is what a new name is compared with.
Differences ToldOfLink(const LinkMember& member, const std::optional<FileId>& leader_basis) {
  Differences told = member.differences;
  if (!member.destination) {
    if (member.link_basis && leader_basis && member.basis->object.id == *leader_basis) return told;
    const bool copied = member.basis && !member.link_basis && told.empty();
    if (!copied) return Differences::FromMask(static_cast<uint32_t>(Attribute::kExistence));
  }
  told.Add(Attribute::kHardLink);
  return told;
}

}  // namespace

LinkGroups::LinkGroups(Driver* driver, const std::string& directory)
    : by_destination_(driver, KeyLess<kDestinationKeyBytes>, {kSortMemoryBytes, directory}),
      by_source_(driver, KeyLess<kSourceKeyBytes>, {kSortMemoryBytes, directory}) {}

absl::Status LinkGroups::Add(const LinkMember& member) {
  ++added_;
  if (!Stays(member) || member.destination->nlink <= 1) return AddToSourceGroup(member, added_);
  writer_.Clear();
  writer_.PutKey(member.destination->id.device);
  writer_.PutKey(member.destination->id.inode);
  writer_.PutKey(added_);
  PutMember(member, &writer_);
  return by_destination_.Add(writer_.bytes());
}

absl::Status LinkGroups::AddToSourceGroup(const LinkMember& member, uint64_t order) {
  writer_.Clear();
  writer_.PutKey(member.source.id.device);
  writer_.PutKey(member.source.id.inode);
  writer_.PutByte(RankOf(member));
  // Names keep the order of the trees, whichever way they came here.
  writer_.PutKey(member.directory);
  writer_.PutKey(order);
  PutMember(member, &writer_);
  return by_source_.Add(writer_.bytes());
}

absl::Status LinkGroups::Resolve(LinkPlan& plan) {
  US_RETURN_IF_ERROR(ResolveDestinationInodes(plan));
  return ResolveSourceGroups(plan);
}

absl::Status LinkGroups::ResolveDestinationInodes(LinkPlan& plan) {
  US_RETURN_IF_ERROR(by_destination_.Finish());
  std::string record;
  std::optional<FileId> inode;
  FileId owner;  // the source inode that keeps it
  while (true) {
    US_ASSIGN_OR_RETURN(const bool more, by_destination_.Next(&record));
    if (!more) return absl::OkStatus();
    US_ASSIGN_OR_RETURN(LinkMember member, GetMember(record, kDestinationKeyBytes));
    if (inode != member.destination->id) {
      inode = member.destination->id;
      owner = member.source.id;
    }
    const bool broken = member.source.id != owner;
    if (broken) member.differences.Add(Attribute::kHardLink);
    if (member.source.nlink > 1) {
      RecordReader key(std::string_view(record).substr(kOrderOffset));
      US_RETURN_IF_ERROR(AddToSourceGroup(member, key.GetKey()));
    } else if (broken) {
      US_RETURN_IF_ERROR(plan.PutMember(std::move(member)));
    } else {
      US_RETURN_IF_ERROR(plan.KeepMember(std::move(member)));
    }
  }
}

absl::Status LinkGroups::ResolveSourceGroups(LinkPlan& plan) {
  US_RETURN_IF_ERROR(by_source_.Finish());
  std::string record;
  std::optional<FileId> group;
  RelPath leader;
  std::optional<FileId> leader_inode;  // at the destination, when the leader stays
  std::optional<FileId> leader_basis;  // in a basis directory, when the leader becomes a link of that
  bool leader_waits = false;
  while (true) {
    US_ASSIGN_OR_RETURN(const bool more, by_source_.Next(&record));
    if (!more) return absl::OkStatus();
    US_ASSIGN_OR_RETURN(LinkMember member, GetMember(record, kSourceKeyBytes));
    if (group != member.source.id) {
      group = member.source.id;
      leader = member.path;
      leader_waits = member.waits;
      leader_inode.reset();
      leader_basis.reset();
      if (member.link_basis) leader_basis = member.basis->object.id;
      if (Stays(member)) {
        leader_inode = member.destination->id;
        US_RETURN_IF_ERROR(plan.KeepMember(std::move(member)));
      } else {
        US_RETURN_IF_ERROR(plan.PutMember(std::move(member)));
      }
      continue;
    }
    if (leader_inode && member.destination && member.destination->id == *leader_inode) {
      // One inode: what its metadata lacks is set under the leader's name.
      member.differences = Differences();
      US_RETURN_IF_ERROR(plan.KeepMember(std::move(member)));
      continue;
    }
    member.differences = ToldOfLink(member, leader_basis);
    const bool late = member.waits || leader_waits;
    US_RETURN_IF_ERROR(plan.LinkMemberTo(std::move(member), leader, late));
  }
}

}  // namespace uringsync
