"""FaultRelay: stands between two programs on loopback and makes the network fail in ways that a test chooses.

    relay = FaultRelay("127.0.0.2", port, "127.0.0.1", port)
    relay.on_connection = lambda number: [Cut(after=1000)]     # of connection number 0, 1, 2, ...
    relay.cut()                                                # every open connection, now
    relay.freeze(); relay.thaw()                               # half-open: nothing passes, nothing is closed
    relay.close()

One thread of its own moves all bytes. Directions are "up" (towards the target) and "down". A relay counts what it did, so
that a test can show that its faults took place.
"""

import selectors
import socket
import struct
import threading
import time

CHUNK = 1 << 16
# A direction holds at most so much; then its sender has to wait.
HELD = 1 << 18
UP, DOWN = "up", "down"


class Fault:
    """Of one connection. `after`: bytes of `way` that pass before; way None: of both together."""

    def __init__(self, after=0, way=None):
        self.after, self.way, self.done = after, way, False


class Cut(Fault):
    """The connection ends, for both sides: by RST, or by FIN as an orderly end looks."""

    def __init__(self, after=0, way=None, reset=True):
        super().__init__(after, way)
        self.reset = reset


class Stall(Fault):
    """Nothing passes any more, and nothing is closed."""


class Flip(Fault):
    """One bit of the byte behind `after` bytes is another one."""

    def __init__(self, after=0, way=UP, bit=0):
        super().__init__(after, way)
        self.bit = bit


class Slow:
    """Every piece is late, and pieces are small. No fault that ends anything."""

    def __init__(self, delay=0.0, piece=CHUNK):
        self.delay, self.piece = delay, piece


class _Lane:
    def __init__(self, source, target, way):
        self.source, self.target, self.way = source, target, way
        self.held = []  # [when, bytes]
        self.size = 0
        self.passed = 0
        self.ended = False
        self.shut = False


class _Connection:
    def __init__(self, number, near, far, faults):
        self.number, self.near, self.far, self.faults = number, near, far, faults
        self.lanes = [_Lane(near, far, UP), _Lane(far, near, DOWN)]
        self.stalled = False
        self.record = bytearray()

    @property
    def slow(self):
        return next((fault for fault in self.faults if isinstance(fault, Slow)), None)


class FaultRelay:
    def __init__(self, host, port, target_host, target_port):
        self.target = (target_host, target_port)
        self.on_connection = lambda number: []
        self.accepted = self.cuts = self.stalls = self.flips = 0
        self.passed = 0
        self.record_limit = 0  # bytes of each connection's way up that are kept in `recorded`
        self.recorded = {}
        self._lock = threading.Lock()
        self._connections = set()
        self._frozen = False
        self._refusing = False
        self._closing = False
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((host, port))
        self._listener.listen(128)
        self._listener.setblocking(False)
        self.host, self.port = self._listener.getsockname()
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._woken.setblocking(False)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def cut(self, reset=True):
        """Ends every open connection. How many they were."""
        with self._lock:
            open_now = list(self._connections)
            for connection in open_now:
                self._end(connection, reset)
        return len(open_now)

    def freeze(self):
        """From now on nothing passes, new connections included; nothing is closed."""
        self._frozen = True

    def thaw(self):
        self._frozen = False
        self._nudge()

    def refuse(self, on):
        """While on, new connections are reset as soon as they are there."""
        self._refusing = on

    def open_connections(self):
        with self._lock:
            return len(self._connections)

    def close(self):
        if self._closing:
            return
        self._closing = True
        self._nudge()
        self._thread.join()

    def _nudge(self):
        try:
            self._wake.send(b"x")
        except OSError:
            pass

    def _end(self, connection, reset):
        """With the lock."""
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        for end in (connection.near, connection.far):
            try:
                if reset:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.close()
            except OSError:
                pass
        self.cuts += 1
        self._nudge()

    def _accept(self):
        near, _ = self._listener.accept()
        number = self.accepted
        self.accepted += 1
        if self._refusing:
            near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            near.close()
            return
        try:
            far = socket.create_connection(self.target, 5)
        except OSError:
            near.close()
            return
        for end in (near, far):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._connections.add(_Connection(number, near, far, list(self.on_connection(number))))

    def _take(self, connection, lane, now):
        """Reads what has come, and lets the faults of the connection happen to it."""
        slow = connection.slow
        data = lane.source.recv(min(slow.piece if slow else CHUNK, CHUNK))
        if not data:
            lane.ended = True
            return
        if lane.way == UP and len(connection.record) < self.record_limit:
            connection.record += data
            self.recorded[connection.number] = bytes(connection.record)
        data = bytearray(data)
        for fault in connection.faults:
            if isinstance(fault, Slow) or fault.done or (fault.way and fault.way != lane.way):
                continue
            before = lane.passed if fault.way else sum(each.passed for each in connection.lanes)
            if before + len(data) <= fault.after:
                continue
            fault.done = True
            at = max(0, fault.after - before)
            if isinstance(fault, Flip):
                data[at] ^= 1 << fault.bit
                self.flips += 1
            else:
                del data[at:]
                if isinstance(fault, Stall):
                    connection.stalled = True
                    self.stalls += 1
                else:
                    connection.cut = fault.reset
                break
        lane.passed += len(data)
        self.passed += len(data)
        if data:
            lane.held.append([now + (slow.delay if slow else 0), bytes(data)])
            lane.size += len(data)

    def _give(self, lane, now):
        """Writes what is due; how long until more is."""
        while lane.held and lane.held[0][0] <= now:
            try:
                sent = lane.target.send(lane.held[0][1])
            except BlockingIOError:
                return None
            lane.size -= sent
            if sent < len(lane.held[0][1]):
                lane.held[0][1] = lane.held[0][1][sent:]
                return None
            lane.held.pop(0)
        if lane.held:
            return lane.held[0][0] - now
        if lane.ended and not lane.shut:
            lane.shut = True
            try:
                lane.target.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        return None

    def _serve(self, connection, readable, now):
        nap = None
        try:
            for lane in connection.lanes:
                if lane.source in readable and not lane.ended and lane.size < HELD:
                    self._take(connection, lane, now)
                due = self._give(lane, now)
                nap = due if nap is None else nap if due is None else min(nap, due)
                if hasattr(connection, "cut") and not lane.held:
                    self._end(connection, connection.cut)
                    return None
            if all(lane.shut for lane in connection.lanes):
                self._end(connection, False)
        except BlockingIOError:
            pass
        except OSError:
            # One side has reset it, so the other one hears of that.
            self._end(connection, True)
        return nap

    def _run(self):
        nap = None
        while not self._closing:
            selector = selectors.DefaultSelector()
            selector.register(self._woken, selectors.EVENT_READ)
            watched = {}
            if not self._frozen:
                selector.register(self._listener, selectors.EVENT_READ)
                with self._lock:
                    for connection in self._connections:
                        if connection.stalled:
                            continue
                        for end, reads, writes in ((connection.near, 0, 1), (connection.far, 1, 0)):
                            events = 0
                            if not connection.lanes[reads].ended and connection.lanes[reads].size < HELD:
                                events |= selectors.EVENT_READ
                            held = connection.lanes[writes].held
                            if held and held[0][0] <= time.monotonic():
                                events |= selectors.EVENT_WRITE
                            if events:
                                selector.register(end, events)
                        watched[connection] = True
            ready = selector.select(0.1 if nap is None else max(0.0, min(nap, 0.1)))
            selector.close()
            readable = {key.fileobj for key, events in ready if events & selectors.EVENT_READ}
            if self._woken in readable:
                self._woken.recv(4096)
            if self._listener in readable:
                try:
                    self._accept()
                except OSError:
                    pass
            nap = None
            now = time.monotonic()
            with self._lock:
                for connection in list(watched):
                    if connection not in self._connections:
                        continue
                    due = self._serve(connection, readable, now)
                    nap = due if nap is None else nap if due is None else min(nap, due)
        with self._lock:
            for connection in list(self._connections):
                self._end(connection, False)
        self._listener.close()
        self._wake.close()
        self._woken.close()
