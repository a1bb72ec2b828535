"""A DNS server on loopback that knows the zones of a test, so that nothing asks the outside.

Contract  Answers over UDP and TCP from a table `(name, type) -> texts of the records`. A name that
          the table does not know at all is NXDOMAIN; a known name without the type is NODATA; a
          name, or a name and type, in `failing` is SERVFAIL.
"""

import socketserver
import struct
import threading

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from harness.ports import free_port

Table = dict[tuple[str, str], list[str]]


class Zone:
    def __init__(self, records: Table | None = None, failing: set | None = None) -> None:
        self.records = {(name.lower().rstrip("."), kind): texts
                        for (name, kind), texts in (records or {}).items()}
        self.failing = failing or set()
        self.asked: list[tuple[str, str]] = []

    def answer(self, packet: bytes) -> bytes:
        query = dns.message.from_wire(packet)
        question = query.question[0]
        name = question.name.to_text().lower().rstrip(".")
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        response = dns.message.make_response(query, recursion_available=True)
        if name in self.failing or (name, kind) in self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
            return response.to_wire()
        texts = self.records.get((name, kind))
        if texts:
            response.answer.append(dns.rrset.from_text_list(question.name, 5, "IN", kind, texts))
        elif not any(known == name for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire()


class _Datagram(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        packet, socket = self.request
        socket.sendto(self.server.zone.answer(packet), self.client_address)


class _Stream(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        stream = self.request.makefile("rwb")
        header = stream.read(2)
        while len(header) == 2:
            answer = self.server.zone.answer(stream.read(struct.unpack("!H", header)[0]))
            stream.write(struct.pack("!H", len(answer)) + answer)
            stream.flush()
            header = stream.read(2)


class _UdpServer(socketserver.ThreadingUDPServer):
    daemon_threads = True


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


class DnsServer:
    def __init__(self, records: Table | None = None, failing: set | None = None,
                 host: str = "127.0.0.1", port: int | None = None) -> None:
        self.zone = Zone(records, failing)
        self.host = host
        self.port = port or free_port()

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def __enter__(self) -> "DnsServer":
        self._servers = [_UdpServer((self.host, self.port), _Datagram),
                         _TcpServer((self.host, self.port), _Stream)]
        for server in self._servers:
            server.zone = self.zone
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def become(self, zone: Zone) -> None:
        """From now on it knows another zone."""
        self.zone = zone
        for server in self._servers:
            server.zone = zone

    def __exit__(self, *_) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
