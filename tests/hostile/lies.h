// Lies: what lying_relay makes of the messages that pass through it.
//
// A relay tells one lie. It is true to both sides until a message of the lie's kind comes, so each lie is told in the state of
// a session that it is meant for, by whoever would tell it. Thread rule: each function is called on one thread at a time.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "uringsync/v1/agent.pb.h"
#include "uringsync/v1/data.pb.h"

namespace uringsync::hostile {

namespace v1 = ::uringsync::v1;

// Changes the first message of its kind, or sends others after it (`more`), as often as it likes.
template <typename Message>
struct Lie {
  std::string name;
  int kind = 0;        // body_case of the message; 0: the first one, whatever it is
  bool every = false;  // each message of that kind
  std::function<void(Message* message, std::vector<Message>* more)> tell;
  // Afterwards the last message is sent for ever, as fast as it is taken.
  bool endless = false;
  // Afterwards nothing is said any more.
  bool silent = false;
};
using AgentLie = Lie<v1::AgentMessage>;
using CommandLie = Lie<v1::ClientMessage>;

// One data frame.
struct DataFrame {
  uint8_t type = 0;
  std::string header;
  std::string payload;
  // What the prefix says of them, where it is not the truth.
  bool forged = false;
  uint32_t header_length = 0;
  uint32_t payload_length = 0;
};
struct DataLie {
  std::string name;
  bool of_source = true;  // else of the side that asks
  std::function<void(DataFrame* frame, std::vector<DataFrame>* more)> tell;
  bool endless = false;
  bool silent = false;
};

const std::vector<AgentLie>& LiesOfAgents();
const std::vector<CommandLie>& LiesOfCommands();
const std::vector<DataLie>& LiesAboutData();

// A column of byte strings.
inline void Assign(v1::Strings* column, const std::vector<std::string>& values) {
  column->Clear();
  for (const std::string& value : values) {
    column->mutable_text()->append(value);
    column->add_lengths(static_cast<uint32_t>(value.size()));
  }
}
inline std::vector<std::string> ValuesOf(const v1::Strings& column) {
  std::vector<std::string> values;
  size_t at = 0;
  for (const uint32_t length : column.lengths()) {
    values.push_back(column.text().substr(at, length));
    at += length;
  }
  return values;
}

}  // namespace uringsync::hostile
