#!/usr/bin/env python3
"""Peers that trickle, say nothing, come in thousands, or have no right to be there.

Each ends with a clear error and within bounds of memory, and the agent goes on serving others.
"""

import os
import socket
import ssl
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402
import hostile_case  # noqa: E402


class HostilePeers(hostile_case.HostileCase):
    def tls(self, names=None, stem="cli"):
        names = names or self.certificates()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(os.path.join(self.certificates().directory, "ca.crt"))
        if stem:
            context.load_cert_chain(os.path.join(names.directory, stem + ".crt"), os.path.join(names.directory, stem + ".key"))
        context.set_alpn_protocols(["h2"])
        return context

    def still_serves(self, agent, text=""):
        harness.remove_tree(self.path("pool", "served"))
        result = self.sync(self.path("src"), agent.endpoint("pool", "served"))
        self.assertEqual(0, result.code, text)
        back = self.sync(agent.endpoint("pool", "served"), self.path("back"), "--delete")
        self.assertEqual(0, back.code, text)

    def hold(self, port, number, first=b""):
        held = []
        self.addCleanup(lambda: [one.close() for one in held])
        for _ in range(number):
            one = socket.create_connection(("127.0.0.1", port), timeout=30 * harness.SLOWNESS)
            if first:
                one.sendall(first)
            held.append(one)
        return held

    def closed(self, connections):
        """How many of them the other side has ended."""
        count = 0
        for one in connections:
            one.setblocking(False)
            try:
                while one.recv(4096):
                    pass
                count += 1
            except BlockingIOError:
                pass
            except OSError:
                count += 1
        return count

    def descriptors(self, agent):
        return len(os.listdir("/proc/%d/fd" % agent.pid))

    def test_unfinished_handshakes_keep_nobody_out_and_are_cut(self):
        agent = self.agent({"pool": self.path("pool")})
        before = self.descriptors(agent)
        # The beginning of a ClientHello: a record of 512 bytes, of which these are all that ever come.
        begun = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
        held = []
        for port in (agent.port, agent.data_port):
            held += self.hold(port, 150) + self.hold(port, 150, begun)
        self.still_serves(agent)
        harness.wait_until(lambda: self.closed(held) == len(held), 60, "the end of every unfinished handshake")
        harness.wait_until(lambda: self.descriptors(agent) <= before + 20, 30, "their descriptors")
        self.still_serves(agent)

    def test_thousands_of_connections_are_bounded_in_memory_and_descriptors(self):
        # Room for less than what comes, so that running out of descriptors is tried as well.
        agent = self.agent({"pool": self.path("pool")}, prefix=["prlimit", "--nofile=1500:1500"])
        for port in (agent.port, agent.data_port):
            for _ in range(3):
                held = []
                try:
                    for _ in range(1000):
                        one = socket.socket()
                        one.setblocking(False)
                        one.connect_ex(("127.0.0.1", port))
                        held.append(one)
                    time.sleep(0)
                finally:
                    for one in held:
                        one.close()
        harness.wait_until(lambda: self.descriptors(agent) < 200, 60, "the end of what was closed")
        self.still_serves(agent)
        if not hostile_case.instrumented():
            self.assertLess(agent.peak_kib(), hostile_case.MEMORY_LIMIT_KIB)

    def test_a_peer_that_trickles_its_greeting_is_cut(self):
        agent = self.agent({"pool": self.path("pool")})
        plain = socket.create_connection(("127.0.0.1", agent.data_port), timeout=60)
        secured = self.tls().wrap_socket(plain, server_hostname="localhost")
        self.addCleanup(secured.close)
        # magic, version, type 1, a header of 60 bytes, no payload: one byte at a time, a second between them, is a minute and more.
        greeting = b"US\x01\x01" + (60).to_bytes(4, "little") + bytes(4) + bytes(60)
        started = time.monotonic()
        cut = False
        for byte in greeting:
            try:
                secured.sendall(bytes([byte]))
                secured.settimeout(1)
                cut = secured.recv(1) == b""
            except (socket.timeout, TimeoutError):
                continue
            except OSError:
                cut = True
            if cut:
                break
        self.assertTrue(cut, "it was listened to for %.0f s" % (time.monotonic() - started))
        self.assertLess(time.monotonic() - started, 30 * harness.SLOWNESS)
        self.still_serves(agent)

    def test_who_has_no_certificate_or_another_authoritys_is_refused_on_both_ports(self):
        agent = self.agent({"pool": self.path("pool")})
        strangers = harness.Certificates(self.path("strangers"))
        for port in (agent.port, agent.data_port):
            for names, stem in ((None, None), (strangers, "cli"), (strangers, "localhost")):
                with self.subTest(port=port, stem=stem):
                    plain = socket.create_connection(("127.0.0.1", port), timeout=30 * harness.SLOWNESS)
                    self.addCleanup(plain.close)
                    # In TLS 1.3 the verdict on the client comes with its first read.
                    with self.assertRaises((ssl.SSLError, ConnectionError, EOFError)):
                        with self.tls(names, stem).wrap_socket(plain, server_hostname="localhost") as secured:
                            secured.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
                            if secured.recv(1) == b"":
                                raise EOFError
        harness.wait_until(lambda: "data connection refused" in agent.output(), 10, "the refusal in the log")
        refused = self.cli("sync", "--cert", os.path.join(strangers.directory, "cli.crt"), "--key",
                           os.path.join(strangers.directory, "cli.key"), "--ca", os.path.join(self.certificates().directory, "ca.crt"),
                           self.path("src"), agent.endpoint("pool"), code=harness.PROTOCOL)
        self.assertIn("refused the certificate", refused.stderr)
        self.still_serves(agent)

    def test_a_guessed_token_opens_nothing_and_is_told_in_the_log(self):
        agent = self.agent({"pool": self.path("pool")})
        for number in range(100):
            plain = socket.create_connection(("127.0.0.1", agent.data_port), timeout=30 * harness.SLOWNESS)
            with self.tls().wrap_socket(plain, server_hostname="localhost") as secured:
                # DataHello: version 1, session of 16 bytes, token of 32 bytes, role destination.
                hello = b"\x08\x01\x12\x10" + bytes([number]) * 16 + b"\x1a\x20" + os.urandom(32) + b"\x20\x02"
                secured.sendall(b"US\x01\x01" + len(hello).to_bytes(4, "little") + bytes(4) + hello)
                answer = b""
                try:
                    while len(answer) < 4096:
                        more = secured.recv(4096)
                        if not more:
                            break
                        answer += more
                except OSError:
                    pass
                self.assertIn(b"no such session, or a wrong token", answer)
        # So many lines a minute, not one for each.
        self.assertLessEqual(agent.output().count("data connection refused"), 61)
        self.assertGreater(agent.output().count("data connection refused"), 10)
        self.still_serves(agent)


if __name__ == "__main__":
    harness.main()
