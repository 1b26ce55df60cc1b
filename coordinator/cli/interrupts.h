// Interrupts: SIGINT, SIGTERM and SIGHUP as calls on a thread of their own, the first one apart from those after it.
//
// No signal handler runs: the signals are blocked for the whole process and read from a signalfd. Make it on the main
// thread before any other thread starts (threads inherit the mask). A SIGHUP that is ignored at the start (nohup) stays
// ignored. Thread rule: made and destroyed by one thread; the callback runs on the watcher's thread. Use:  Interrupts
// interrupts;  interrupts.Watch([&](int signal, int count) { if (count == 1) cancel.Cancel(...); else ...; });
#pragma once

#include <functional>
#include <thread>

#include "engine/base/unique_fd.h"

namespace uringsync {

class Interrupts {
 public:
  // Blocks the signals.
  Interrupts();
  // Stops watching and restores the mask; signals that came and were not watched act then.
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  // `on_signal(signal, count)`: the count-th signal since the start, 1 for the first. Called once per signal. Once
  // only.
  void Watch(std::function<void(int signal, int count)> on_signal);

 private:
  void Loop();

  UniqueFd signals_;
  UniqueFd stop_;
  std::function<void(int, int)> on_signal_;
  std::thread thread_;
};

}  // namespace uringsync
