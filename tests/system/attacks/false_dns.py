"""A DNS that lies: what a domain's owner, or somebody between, may answer to a node's questions."""

import socketserver
import struct
import threading
from collections.abc import Callable

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset

from harness.dns_server import Table, Zone
from harness.ports import free_port

Answer = Callable[[dns.message.Message, bytes, bool], list[bytes]]


class FalseDns:
    """`truths` are answered as a good server would; a name below one of `lies` as that function
    says: the packets to send, in this order, for a query and whether it came over TCP."""

    def __init__(self, truths: Table, lies: dict[str, Answer], failing: set[str]) -> None:
        self.zone = Zone(truths, failing)
        self.lies = lies
        self.port = free_port()
        self.asked: list[str] = []
        self.source_ports: set[int] = set()
        self.ids: list[int] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def packets(self, packet: bytes, tcp: bool) -> list[bytes]:
        query = dns.message.from_wire(packet)
        name = query.question[0].name.to_text().lower().rstrip(".")
        self.asked.append(name)
        self.ids.append(query.id)
        for suffix, lie in self.lies.items():
            if name == suffix or name.endswith("." + suffix):
                return lie(query, packet, tcp)
        return [self.zone.answer(packet)]

    def __enter__(self) -> "FalseDns":
        self._servers = [_Datagrams(("127.0.0.1", self.port), _Datagram),
                         _Streams(("127.0.0.1", self.port), _Stream)]
        for server in self._servers:
            server.dns = self
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


class _Datagram(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        packet, back = self.request
        self.server.dns.source_ports.add(self.client_address[1])
        for answer in self.server.dns.packets(packet, False):
            back.sendto(answer, self.client_address)


class _Stream(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with self.request.makefile("rwb") as stream:
            while len(header := stream.read(2)) == 2:
                packet = stream.read(struct.unpack("!H", header)[0])
                for answer in self.server.dns.packets(packet, True):
                    stream.write(struct.pack("!H", len(answer)) + answer)
                    stream.flush()


class _Datagrams(socketserver.ThreadingUDPServer):
    daemon_threads = True
    max_packet_size = 65536


class _Streams(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def answer_with(query: dns.message.Message, *records: tuple[str, str, list[str]],
                ttl: int = 5) -> dns.message.Message:
    response = dns.message.make_response(query, recursion_available=True)
    for name, kind, texts in records:
        response.answer.append(dns.rrset.from_text_list(name, ttl, "IN", kind, texts))
    return response


def asks_for(query: dns.message.Message, kind: str) -> bool:
    return dns.rdatatype.to_text(query.question[0].rdtype) == kind


# ------------------------------------------------------------------ lies

def silence(*_) -> list[bytes]:
    return []


def nonsense(query: dns.message.Message, packet: bytes, tcp: bool) -> list[bytes]:
    return [packet[:2] + b"\x81\x80" + bytes(range(200)), packet[:5], b""]


def truncated(query: dns.message.Message, packet: bytes, tcp: bool) -> list[bytes]:
    """Over TCP too."""
    response = dns.message.make_response(query, recursion_available=True)
    response.flags |= dns.flags.TC
    return [response.to_wire()]


def forged(poison: str, truth: str) -> Answer:
    """Whoever does not see the questions guesses: another id, another question; then the truth."""
    def lie(query: dns.message.Message, packet: bytes, tcp: bool) -> list[bytes]:
        kind = "A" if asks_for(query, "A") else "MX"
        name = query.question[0].name.to_text()
        wrong = poison if kind == "A" else f"10 poison.{name}"
        right = truth if kind == "A" else f"10 {name}"
        if not asks_for(query, kind):
            return [answer_with(query).to_wire()]
        other_id = answer_with(query, (name, kind, [wrong]))
        other_id.id = query.id ^ 1
        asked_else = dns.message.make_query("elsewhere.test.", kind)
        asked_else.id = query.id
        other_question = answer_with(asked_else, ("elsewhere.test.", kind, [wrong]))
        return [other_id.to_wire(), other_question.to_wire(),
                answer_with(query, (name, kind, [right])).to_wire()]
    return lie


def chain(length: int, address: str, loops: bool = False) -> Answer:
    """CNAME after CNAME, at the end an address, or the beginning again."""
    def lie(query: dns.message.Message, packet: bytes, tcp: bool) -> list[bytes]:
        name = query.question[0].name.to_text()
        names = [name] + [f"c{n}.{name}" for n in range(length)]
        records = [(first, "CNAME", [then]) for first, then in zip(names, names[1:])]
        if loops:
            records.append((names[-1], "CNAME", [name]))
        elif address and asks_for(query, "A"):
            records.append((names[-1], "A", [address]))
        return [answer_with(query, *records).to_wire()]
    return lie


def multitude(hosts: int, addresses: Callable[[int], list[str]]) -> Answer:
    """Very many hosts with very many addresses each."""
    def lie(query: dns.message.Message, packet: bytes, tcp: bool) -> list[bytes]:
        name = query.question[0].name.to_text()
        if asks_for(query, "MX"):
            response = answer_with(query, (name, "MX", [f"{n} h{n}.{name}" for n in range(hosts)]))
        elif asks_for(query, "A"):
            number = int(name[1:].split(".")[0])
            response = answer_with(query, (name, "A", addresses(number)))
        else:
            response = answer_with(query)
        wire = response.to_wire(max_size=65535)
        return [wire] if tcp or len(wire) < 1200 else truncated(query, packet, tcp)
    return lie
