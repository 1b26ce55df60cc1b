// Account names: what this host calls its user and group ids.
//
// Answers come from the name service (getpwuid_r and its kin), which may ask a directory server and take its time: call
// it on a thread that is no shard.
#pragma once

#include <string>

#include "proto/messages.h"

namespace uringsync {

// Answers in the order of the query. What the name service cannot tell, for whatever reason, has no name or id.
NameReply AnswerNames(const NameQuery& query);

// Of `user`, or with "" of this process's own; empty where the name service knows none.
std::string HomeDirectory(const std::string& user);

// The same for all processes that ask the same name service: a digest of the kernel's boot, of the namespaces of mounts
// and users and of the root directory. Empty when that cannot be told.
std::string NameDomain();

}  // namespace uringsync
