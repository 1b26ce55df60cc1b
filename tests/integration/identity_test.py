#!/usr/bin/env python3
"""Certificates that are replaced under running agents, certificates that are revoked, and TLS 1.3 on both ports."""

import os
import shutil
import signal
import socket
import ssl
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness  # noqa: E402

# A look each second, and the time that a slow machine takes for it.
IN_FORCE_S = 15


def replace(source, target):
    """As everything that renews certificates should: whole or not at all."""
    shutil.copyfile(source, target + ".new")
    shutil.copymode(source, target + ".new")
    os.rename(target + ".new", target)


class NoCertificates:
    server = ()


class Identity(harness.Case):
    def setUp(self):
        super().setUp()
        for name in ("src", "pool", "live"):
            os.mkdir(self.path(name))
        with open(self.path("src", "file"), "w") as file:
            file.write("content")
        self.one = self.certificates()
        self.two = harness.Certificates(self.path("two"))

    def live(self, name, certificates=None, stem=None, authority=None):
        """Files of one program that the test replaces; options that name them."""
        directory = self.path("live", name)
        os.makedirs(directory, exist_ok=True)
        certificates = certificates or self.one
        stem = stem or certificates.host
        for suffix in (".crt", ".key"):
            replace(os.path.join(certificates.directory, stem + suffix), os.path.join(directory, "own" + suffix))
        replace(authority or os.path.join(certificates.directory, "ca.crt"), os.path.join(directory, "ca.crt"))
        return ["--cert", os.path.join(directory, "own.crt"), "--key", os.path.join(directory, "own.key"),
                "--ca", os.path.join(directory, "ca.crt")]

    def serve(self, name, roots, *arguments):
        """An agent on live files; the harness gives it the files of self.one first, and the last one counts."""
        return self.agent(roots, *arguments, *self.live(name))

    def both_authorities(self):
        path = self.path("both.crt")
        with open(path, "wb") as out:
            for certificates in (self.one, self.two):
                with open(os.path.join(certificates.directory, "ca.crt"), "rb") as file:
                    out.write(file.read())
        return path

    def told(self, agent, text, count=1):
        harness.wait_until(lambda: agent.output().count(text) >= count, IN_FORCE_S, "%r in the log\n%s" % (text, agent.output()))

    def push(self, agent, certificates, code=harness.OK, *arguments):
        return self.cli("sync", *arguments, *certificates, self.path("src"), agent.endpoint("pool", "dst"), code=code)

    def test_an_agent_takes_over_new_files_and_its_sessions_go_on(self):
        agent = self.serve("a", {"pool": self.path("pool")})
        with open(self.path("src", "long"), "wb") as file:
            file.write(os.urandom(int(12 * harness.SLOWNESS) << 20))
        under_way = self.start("sync", "--bwlimit=1024", self.path("src"), agent.endpoint("pool", "slow"))
        self.told(agent, "pool")
        # Half of the new pair.
        replace(os.path.join(self.two.directory, "localhost.crt"), self.path("live", "a", "own.crt"))
        self.told(agent, "changed certificate files are not used")
        self.assertIn("does not belong to certificate", agent.output())
        self.push(agent, self.one.client)
        self.push(agent, self.two.client, harness.PROTOCOL)
        # The other half, and both authorities.
        self.live("a", self.two, authority=self.both_authorities())
        self.told(agent, "certificate files loaded again")
        both = ["--ca", self.both_authorities()]
        self.push(agent, self.one.client[:4] + both)
        self.push(agent, self.two.client)
        refused = self.push(agent, self.one.client, harness.PROTOCOL)
        self.assertIn("did not sign it", refused.stderr)
        # The old authority is gone.
        self.live("a", self.two)
        self.told(agent, "certificate files loaded again", 2)
        self.push(agent, self.two.client)
        refused = self.push(agent, self.one.client[:4] + both, harness.PROTOCOL)
        self.assertIn("refused the certificate", refused.stderr)
        self.assertIsNone(under_way.poll(), "the session under way ended")
        self.assertEqual(harness.OK, self.finish(under_way, 60).code)

    def test_an_agent_shows_its_new_certificate_to_other_agents(self):
        os.mkdir(self.path("from"))
        shutil.copy(self.path("src", "file"), self.path("from"))
        source = self.serve("a", {"from": self.path("from")})
        target = self.serve("b", {"pool": self.path("pool")})
        for agent, name in ((source, "a"), (target, "b")):
            self.live(name, self.two)
            self.told(agent, "certificate files loaded again")
        self.cli("sync", *self.two.client, source.endpoint("from"), target.endpoint("pool"))
        self.assertTrue(os.path.exists(self.path("pool", "file")))

    def test_files_that_cannot_be_used_leave_what_is_in_force(self):
        agent = self.serve("a", {"pool": self.path("pool")})
        for number, damage in enumerate((lambda p: os.unlink(p), lambda p: open(p, "w").close(), lambda p: os.truncate(p, 300))):
            damage(self.path("live", "a", ("own.crt", "own.key", "ca.crt")[number]))
            self.told(agent, "changed certificate files are not used", number + 1)
            self.push(agent, self.one.client)
            self.live("a")
            self.told(agent, "certificate files loaded again", number + 1)
        self.push(agent, self.one.client)

    def revoke(self, *names):
        self.cli("certs", "revoke", self.one.directory, *names)
        return os.path.join(self.one.directory, "ca.crl")

    def with_list(self):
        """Options of a program that honours a list, which is empty yet."""
        replace(self.revoke(), self.path("live", "ca.crl"))
        return ["--crl", self.path("live", "ca.crl")]

    def another_client(self, name):
        made = harness.run([harness.CLI, "certs", "init", self.one.directory, "--host", name])
        self.assertEqual(0, made.code, str(made))
        return self.one.of(name)

    def test_a_revoked_command_is_refused_and_its_session_ends(self):
        bystander = self.another_client("bystander")
        agent = self.agent({"pool": self.path("pool")}, *self.with_list(), "--health")
        self.push(agent, self.one.client)
        with open(self.path("src", "long"), "wb") as file:
            file.write(os.urandom(60 << 20))
        revoked = self.start("sync", "--bwlimit=256", self.path("src"), agent.endpoint("pool", "slow"))
        self.told(agent, "slow")
        replace(self.revoke("cli"), self.path("live", "ca.crl"))
        ended = self.finish(revoked, 30)
        self.assertEqual(harness.PROTOCOL, ended.code, str(ended))
        self.assertIn("the certificate of this command has been revoked", ended.stderr)
        os.unlink(self.path("src", "long"))
        refused = self.push(agent, self.one.client, harness.PROTOCOL)
        self.assertIn("CN=cli) has been revoked", refused.stderr)
        self.told(agent, "CN=cli) has been revoked")
        self.push(agent, bystander)
        # Its successor is another certificate.
        self.another_client("bystander")
        self.push(agent, self.one.client)

    def test_a_certificate_that_was_renewed_is_revoked_with_its_successor(self):
        first = self.path("first.crt")
        shutil.copy(os.path.join(self.one.directory, "cli.crt"), first)
        self.another_client("other")
        made = harness.run([harness.CLI, "certs", "init", self.one.directory, "--host", "localhost,renewed.example"])
        self.assertEqual(0, made.code, str(made))
        result = self.cli("certs", "revoke", self.one.directory, "localhost")
        self.assertIn("revoked 2, 2 in all", result.stdout)
        result = self.cli("certs", "revoke", self.one.directory, first)
        self.assertIn("revoked 1, 3 in all", result.stdout)
        self.cli("certs", "revoke", self.one.directory, "nobody", code=harness.FILE_IO)
        self.cli("certs", "revoke", self.one.directory, os.path.join(self.two.directory, "cli.crt"), code=harness.USAGE)

    def test_a_revoked_agent_is_refused_by_the_command_and_by_agents(self):
        os.mkdir(self.path("from"))
        shutil.copy(self.path("src", "file"), self.path("from"))
        self.another_client("127.0.0.1")
        lists = self.with_list()
        good = self.agent({"from": self.path("from")}, *lists, *self.one.of("127.0.0.1"))
        bad = self.agent({"pool": self.path("pool")})
        self.cli("sync", *self.one.client, *lists, good.endpoint("from"), bad.endpoint("pool"))
        replace(self.revoke("localhost"), self.path("live", "ca.crl"))
        self.told(good, "certificate files loaded again")
        refused = self.push(bad, self.one.client + lists, harness.PROTOCOL)
        self.assertIn("has revoked it", refused.stderr)
        # A command without the list trusts it still, and the good agent does not: contents would go there.
        shutil.rmtree(self.path("pool"))
        os.mkdir(self.path("pool"))
        again = self.agent({"pool": self.path("pool")})
        refused = self.cli("sync", *self.one.client, good.endpoint("from"), again.endpoint("pool"), code=None)
        self.assertNotEqual(0, refused.code)
        self.assertIn("certificate has been revoked", refused.stderr)
        self.assertEqual([], [name for name in os.listdir(self.path("pool")) if name == "file"])
        self.told(good, "CN=localhost) has been revoked")

    def test_a_broken_list_leaves_the_old_one_and_a_foreign_one_is_refused(self):
        agent = self.agent({"pool": self.path("pool")}, *self.with_list())
        self.cli("certs", "revoke", self.two.directory)
        foreign = os.path.join(self.two.directory, "ca.crl")
        replace(foreign, self.path("live", "ca.crl"))
        self.told(agent, "is not signed by an authority that is trusted here")
        self.push(agent, self.one.client)
        with open(self.path("live", "ca.crl"), "w") as file:
            file.write("no list")
        self.told(agent, "holds no PEM revocation list")
        self.push(agent, self.one.client)
        command = [harness.AGENT, "--root", "pool=" + self.path("pool"), "--allow", "*=*:all", "--listen", "127.0.0.1:0",
                   "--data-listen", "127.0.0.1:0", *self.one.server]
        for path in (foreign, self.path("live", "ca.crl"), self.path("nowhere.crl")):
            refused = harness.run(command + ["--crl", path], timeout=30 * harness.SLOWNESS)
            self.assertNotEqual(0, refused.code)
            self.assertIn(os.path.basename(path), refused.stderr)

    def insecure(self, roots, *allow):
        """An agent without TLS."""
        return self.agent(roots, "--insecure", *(allow or ("--allow", "insecure=*:all")), certificates=NoCertificates)

    def test_agents_without_tls_are_for_the_loopback_and_say_so(self):
        one = self.insecure({"src": self.path("src"), "pool": self.path("pool")})
        os.mkdir(self.path("other"))
        two = self.insecure({"pool": self.path("other")})
        source = one.endpoint("src")
        for destination, directory in ((one.endpoint("pool"), "pool"), (two.endpoint("pool"), "other"), (self.path("live", "x"), "live/x")):
            result = self.cli("sync", "--insecure", source, destination, tls=False)
            self.assertIn("INSECURE", result.stderr)
            with open(os.path.join(self.path(directory), "file")) as file:
                self.assertEqual("content", file.read())
        os.remove(self.path("other", "file"))
        self.cli("sync", "--insecure", self.path("src"), two.endpoint("pool"), tls=False)
        self.assertEqual(["file"], os.listdir(self.path("other")))
        self.cli("verify", "--insecure", source, two.endpoint("pool"), tls=False)
        self.told(one, "INSECURE")

    def test_without_tls_too_nobody_gets_what_was_not_granted(self):
        agent = self.insecure({"src": self.path("src"), "pool": self.path("pool")}, "--allow", "insecure=src:read")
        self.cli("sync", "--insecure", agent.endpoint("src"), self.path("live", "x"), tls=False)
        result = self.cli("sync", "--insecure", self.path("src"), agent.endpoint("pool"), tls=False, code=None)
        self.assertNotIn(result.code, (0, 23), result)
        self.assertEqual([], os.listdir(self.path("pool")))

    def test_agents_with_and_without_tls_do_not_speak_to_each_other(self):
        plain = self.insecure({"pool": self.path("pool")})
        secure = self.agent({"src": self.path("src")})
        self.cli("sync", self.path("src"), plain.endpoint("pool"), code=(10, 12))
        result = self.cli("sync", "--insecure", secure.endpoint("src"), self.path("pool"), tls=False, code=(10, 12))
        self.assertIn("was it started with --insecure?", result.stderr)
        self.assertEqual([], os.listdir(self.path("pool")))

    def test_without_tls_nothing_leaves_the_host(self):
        for option in ("--listen", "--data-listen"):
            result = harness.run([harness.AGENT, "--insecure", "--root", "src=" + self.path("src"), "--allow", "*=*:all", option, "0.0.0.0:0"])
            self.assertEqual(1, result.code, result)
            self.assertIn("loopback alone", result.stderr)
        result = self.cli("sync", "--insecure", self.path("src"), "agent://192.0.2.1/pool", tls=False, code=1)
        self.assertIn("loopback alone", result.stderr)

    def test_both_ports_speak_tls_1_3_and_nothing_older(self):
        agent = self.agent({"pool": self.path("pool")})
        for port in (agent.port, agent.data_port):
            for version, good in ((ssl.TLSVersion.TLSv1_2, False), (ssl.TLSVersion.TLSv1_3, True)):
                with self.subTest(port="control" if port == agent.port else "data", version=version.name):
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                    context.minimum_version = context.maximum_version = version
                    context.load_verify_locations(os.path.join(self.one.directory, "ca.crt"))
                    context.load_cert_chain(os.path.join(self.one.directory, "cli.crt"), os.path.join(self.one.directory, "cli.key"))
                    context.set_alpn_protocols(["h2"])
                    with socket.create_connection(("127.0.0.1", port), timeout=20 * harness.SLOWNESS) as plain:
                        if good:
                            with context.wrap_socket(plain, server_hostname="localhost") as secured:
                                self.assertEqual("TLSv1.3", secured.version())
                        else:
                            with self.assertRaisesRegex(ssl.SSLError, "(?i)protocol.version|unsupported.protocol|EOF"):
                                context.wrap_socket(plain, server_hostname="localhost")

    def test_the_command_speaks_tls_1_3_and_nothing_older(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(os.path.join(self.one.directory, "localhost.crt"), os.path.join(self.one.directory, "localhost.key"))
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        child = os.fork()
        if child == 0:
            signal.alarm(int(120 * harness.SLOWNESS))
            while True:
                connection, _ = listener.accept()
                try:
                    context.wrap_socket(connection, server_side=True)
                    os._exit(1)  # somebody spoke TLS 1.2
                except (ssl.SSLError, OSError):
                    connection.close()
        try:
            refused = self.cli("sync", *self.one.client, self.path("src"), "agent://127.0.0.1:%d/pool" % listener.getsockname()[1],
                               code=harness.PROTOCOL)
            self.assertIn("127.0.0.1", refused.stderr)
            self.assertEqual((0, 0), os.waitpid(child, os.WNOHANG))
        finally:
            try:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
            except (ProcessLookupError, ChildProcessError):
                pass


if __name__ == "__main__":
    harness.main()
