"""The guard's loop: one thread, one epoll, requests from a Unix socket. Nothing in it waits for a client.

A timer of the boot-time clock wakes it at the deadline that it knows of; a deadline that the agent moved meanwhile is found by a look when
half of the time until then has passed, and each twelve seconds. While processes that got SIGKILL have not gone it looks each 100 ms.

The newest agent that attached is the one that may change anything; requests of an earlier one are refused.
"""

import os
import select
import socket
import struct
from typing import Final

from hacore.guard import wire
from hacore.guard.keeper import Keeper
from hacore.guard.kernel import NS_PER_S, boot_ns
from hacore.guard.operations import Operations, Refusal
from hacore.guard.wire import Message
from hacore.guard.word import Word, create_memory

_TICK_S: Final = 12.0
_SHORTEST_TICK_S: Final = 0.2
_ENDING_TICK_S: Final = 0.1
_LONELY_NS: Final = 10 * NS_PER_S  # without client and server for so long, the guard ends itself
_MOST_CLIENTS: Final = 32
_CREDENTIALS: Final = struct.Struct("3i")


class Client:
    """One connection, and the generation that it attached as; 0 is one that only looks."""

    __slots__ = ("generation", "socket")

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.generation = 0


class Service:
    """Serves one listening socket until it is told to quit, or nobody needs it any more."""

    def __init__(self, keeper: Keeper, listener: socket.socket) -> None:
        self._keeper = keeper
        self._listener = listener
        self._operations = Operations(keeper)
        self._clients: dict[int, Client] = {}
        self._generation = 0
        self._needed_ns = boot_ns()
        self._epoll = select.epoll()
        self._epoll.register(listener, select.EPOLLIN)
        self._epoll.register(keeper.wake.fd, select.EPOLLIN)

    def run(self) -> None:
        """Serve. The fence comes before every request, and a request that takes long is followed by a look at the fence."""
        while not self._operations.is_quitting and not self._is_lonely():
            watched = self._watch_server()
            ready = self._epoll.poll(self._tick_s())
            if watched is not None:
                self._epoll.unregister(watched)
            self._keeper.turn()
            for fd, _ in ready:
                self._serve(fd)
                self._keeper.turn()

    def _tick_s(self) -> float:
        """How long the deadline may be out of sight: it is to be found moved long before the kernel's timer of the older one."""
        if self._keeper.is_ending:
            return _ENDING_TICK_S
        latch = self._keeper.latch
        left_s = (latch.deadline_ns - boot_ns()) / NS_PER_S if latch.is_armed else _TICK_S
        return min(_TICK_S, max(_SHORTEST_TICK_S, left_s / 2))

    def _watch_server(self) -> int | None:
        """The postmaster's descriptor, watched for this round alone: it closes whenever the postmaster is reaped."""
        pidfd = self._keeper.server.pidfd
        if pidfd is not None:
            self._epoll.register(pidfd, select.EPOLLIN)
        return pidfd

    def _is_lonely(self) -> bool:
        now_ns = boot_ns()
        if self._clients or self._keeper.server.is_alive or self._keeper.is_ending:
            self._needed_ns = now_ns
        return now_ns - self._needed_ns > _LONELY_NS

    def _serve(self, fd: int) -> None:
        if fd == self._listener.fileno():
            self._accept()
        elif fd == self._keeper.wake.fd:
            self._keeper.wake.drain()
        elif fd in self._clients:
            self._converse(self._clients[fd])

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        connection.settimeout(0)
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, uid, _ = _CREDENTIALS.unpack(raw)
        if uid not in {os.geteuid(), 0} or len(self._clients) >= _MOST_CLIENTS:
            connection.close()
            return
        self._clients[connection.fileno()] = Client(connection)
        self._epoll.register(connection, select.EPOLLIN)

    def _drop(self, client: Client) -> None:
        fd = client.socket.fileno()
        self._epoll.unregister(fd)
        del self._clients[fd]
        client.socket.close()

    def _converse(self, client: Client) -> None:
        """Take one request and answer it; a client that breaks the protocol, hangs up or does not read is dropped."""
        try:
            packet = client.socket.recv(wire.MAX_BYTES)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        if not packet:
            self._drop(client)
            return
        try:
            message = wire.decode(packet)
            answer, fds = self._answer(client, message)
        except wire.WireError:
            self._drop(client)
            return
        try:
            socket.send_fds(client.socket, [wire.encode(answer)], fds)
        except OSError:
            self._drop(client)
        finally:
            for fd in fds:
                os.close(fd)

    def _answer(self, client: Client, message: Message) -> tuple[Message, list[int]]:
        number = wire.integer(message, "id")
        op = wire.text(message, "op")
        fds: list[int] = []
        try:
            if op == "attach":
                fds.append(self._attach(client))
            elif client.generation != self._generation and op in self._operations.of_the_agent:
                return {"id": number, "error": f"{op}: not attached, or another agent attached since"}, fds
            else:
                self._operations.carry_out(op, message)
        except Refusal as refusal:
            return {"id": number, "refused": str(refusal)}, fds
        except (wire.WireError, OSError) as error:
            return {"id": number, "error": f"{op}: {error}"}, fds
        return {"id": number, "ok": self._state()}, fds

    def _attach(self, client: Client) -> int:
        self._generation += 1
        fd = create_memory("hacore-deadline")
        try:
            self._keeper.follow_word(Word(fd))
        except OSError:
            os.close(fd)
            raise
        client.generation = self._generation
        return fd

    def _state(self) -> Message:
        self._keeper.turn()  # so that an answer never speaks of a server that is dead already
        return {**self._operations.state(), "generation": self._generation}
