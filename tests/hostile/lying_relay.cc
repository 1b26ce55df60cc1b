// lying_relay: an agent to the command, and a command to an agent behind it; it passes on what both say, but for one lie.
//
//   lying_relay --list                                     names of all lies, one a line: agent/NAME, command/NAME, data/NAME
//   lying_relay CERT KEY CA CONTROL_PORT DATA_PORT LIE     relays to an agent on 127.0.0.1; prints "PORT" when it listens
//
// "lied" on standard error says that the lie was told. It ends with its standard input.
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <future>
#include <memory>
#include <sstream>
#include <thread>

#include "tests/hostile/data_relay.h"
#include "tests/hostile/lies.h"
#include "uringsync/v1/agent.grpc.pb.h"

namespace uringsync::hostile {
namespace {

constexpr std::chrono::milliseconds kPatience{300};

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

template <typename Message>
const Lie<Message>* Find(const std::vector<Lie<Message>>& lies, const std::string& prefix, const std::string& name) {
  for (const Lie<Message>& lie : lies) {
    if (prefix + lie.name == name) return &lie;
  }
  return nullptr;
}

// One direction of one stream.
template <typename Message, typename From, typename To>
void Pass(From* from, To* to, const Lie<Message>* lie, const std::function<void(Message*)>& prepare) {
  bool told = false;
  Message message;
  while (from->Read(&message)) {
    prepare(&message);
    std::vector<Message> more;
    const bool now = lie != nullptr && (!told || lie->every) &&
                     (lie->kind == 0 || lie->kind == static_cast<int>(message.body_case()));
    if (now) {
      lie->tell(&message, &more);
      told = true;
      std::fputs("lied\n", stderr);
      if (lie->silent) {
        while (from->Read(&message)) continue;
        return;
      }
    }
    if (!to->Write(message)) return;
    for (const Message& other : more) {
      if (!to->Write(other)) return;
    }
    while (now && lie->endless && to->Write(more.empty() ? message : more.back())) continue;
  }
}

class Relay final : public v1::Agent::Service {
 public:
  Relay(std::shared_ptr<grpc::Channel> agent, uint16_t data_port, const AgentLie* of_agent, const CommandLie* of_command)
      : stub_(v1::Agent::NewStub(agent)), data_port_(data_port), of_agent_(of_agent), of_command_(of_command) {}

  grpc::Status Session(grpc::ServerContext* near_context,
                       grpc::ServerReaderWriter<v1::AgentMessage, v1::ClientMessage>* near) override {
    grpc::ClientContext far_context;
    const auto far = stub_->Session(&far_context);
    std::future<void> up = std::async(std::launch::async, [&] {
      Pass<v1::ClientMessage>(near, far.get(), of_command_, [](v1::ClientMessage*) {});
      far->WritesDone();
    });
    Pass<v1::AgentMessage>(far.get(), near, of_agent_, [this](v1::AgentMessage* message) { Prepare(message); });
    // Whoever has been told something may look at it before it hangs up.
    if (up.wait_for(kPatience) != std::future_status::ready) {
      near_context->TryCancel();
      far_context.TryCancel();
    }
    up.wait();
    far_context.TryCancel();
    far->Finish();
    return grpc::Status::OK;
  }

 private:
  // The base protocol, so that what is lied about is there; data connections come this way as well.
  void Prepare(v1::AgentMessage* message) const {
    if (!message->has_hello_reply()) return;
    if (of_agent_ == nullptr || of_agent_->kind != v1::AgentMessage::kHelloReply) {
      std::vector<std::string> kept;
      for (const std::string& feature : ValuesOf(message->hello_reply().features())) {
        if (feature.find("fold") == std::string::npos && feature != "index") kept.push_back(feature);
      }
      Assign(message->mutable_hello_reply()->mutable_features(), kept);
    }
    if (message->hello_reply().data_port() != 0) message->mutable_hello_reply()->set_data_port(data_port_);
  }

  const std::unique_ptr<v1::Agent::Stub> stub_;
  const uint16_t data_port_;
  const AgentLie* const of_agent_;
  const CommandLie* const of_command_;
};

int List() {
  for (const AgentLie& lie : LiesOfAgents()) std::printf("agent/%s\n", lie.name.c_str());
  for (const CommandLie& lie : LiesOfCommands()) std::printf("command/%s\n", lie.name.c_str());
  for (const DataLie& lie : LiesAboutData()) std::printf("data/%s\n", lie.name.c_str());
  return 0;
}

int Main(const std::vector<std::string>& words) {
  if (words.size() == 1 && words.front() == "--list") return List();
  if (words.size() != 6) {
    std::fputs("usage: lying_relay --list | CERT KEY CA CONTROL_PORT DATA_PORT LIE\n", stderr);
    return 1;
  }
  std::signal(SIGPIPE, SIG_IGN);
  const RelayFiles files{words[0], words[1], words[2]};
  const AgentLie* const of_agent = Find(LiesOfAgents(), "agent/", words[5]);
  const CommandLie* const of_command = Find(LiesOfCommands(), "command/", words[5]);
  const DataLie* of_data = nullptr;
  for (const DataLie& lie : LiesAboutData()) {
    if ("data/" + lie.name == words[5]) of_data = &lie;
  }
  if (of_agent == nullptr && of_command == nullptr && of_data == nullptr && words[5] != "truth") {
    std::fputs("no such lie\n", stderr);
    return 1;
  }
  const auto port = static_cast<uint16_t>(std::strtoul(words[4].c_str(), nullptr, 10));
  const uint16_t data_port = StartDataRelay(files, port, of_data);
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  Relay relay(grpc::CreateCustomChannel("127.0.0.1:" + words[3],
                                        grpc::SslCredentials({ReadAll(files.ca), ReadAll(files.key), ReadAll(files.cert)}),
                                        arguments),
              data_port, of_agent, of_command);
  grpc::SslServerCredentialsOptions options(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = ReadAll(files.ca);
  options.pem_key_cert_pairs.push_back({ReadAll(files.key), ReadAll(files.cert)});
  grpc::ServerBuilder builder;
  int listening = 0;
  builder.SetMaxReceiveMessageSize(-1);
  builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(options), &listening);
  builder.RegisterService(&relay);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 2;
  std::printf("%d\n", listening);
  std::fflush(stdout);
  char byte;
  while (::read(STDIN_FILENO, &byte, 1) > 0) continue;
  std::_Exit(0);
}

}  // namespace
}  // namespace uringsync::hostile

int main(int argc, char** argv) {
  return uringsync::hostile::Main(std::vector<std::string>(argv + 1, argv + argc));
}
