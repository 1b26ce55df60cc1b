// What a program says when the system refuses it a thread or memory where nothing can be done about it any more.
//
// The standard library reports a thread that cannot start, and memory that cannot be had, by an exception. Nothing in
// this program catches one: half a run cannot be unwound from there. So it ends at once, in words, with an exit code;
// what a private agent or a session leaves is cleaned up as after a kill. Thread rule: once, in main, before any thread
// starts. Use:  EndInWordsWhenExhausted("uringsync");
#pragma once

namespace uringsync {

// "PROGRAM: cannot start a thread: Resource temporarily unavailable; ..." on standard error, exit code 11. `program` is
// a literal.
void EndInWordsWhenExhausted(const char* program);

// Has `count` threads run at once, for a moment. Before a library starts threads that copes badly when it gets none:
// gRPC waits for those of its own for ever. A refusal ends the program as above.
void ProveThreads(int count);

}  // namespace uringsync
