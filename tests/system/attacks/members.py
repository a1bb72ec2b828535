"""Attacks at the peer port: P1 to P6. Proof `peers` has a pool of three; here it is one node."""

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from harness.peer import METHOD, Identity, Peer, call
from proofs.peers import expired_identity

import grpc

from attacks.rows import PEER, shown, trial
from attacks.stage import Stage

Code = grpc.StatusCode
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, RESET, SETTINGS, CONTINUATION = 1, 3, 4, 9
END_HEADERS = 4
STREAMS, STREAMS_FULL = 5_000, 20_000
HELD = 500
MIB = 1 << 20


def address(stage: Stage) -> str:
    return f"127.0.0.1:{stage.peer_port}"


@contextmanager
def member(stage: Stage) -> Iterator[Peer]:
    """A peer with the pool's certificate that is no member."""
    with Peer("127.0.0.1", stage.pool_member()) as peer:
        yield peer


def expect(what: str, wanted: set[Code], got: tuple[Code, str]) -> None:
    if got[0] not in wanted:
        raise AssertionError(f"{what}: {got[0].name} ({got[1]}), not {wanted}")


@trial("P1", PEER)
def strangers(stage: Stage, door: str) -> None:
    ca = stage.authority.ca
    operator = stage.operator("ann")
    identities = {
        "no certificate": Identity(ca),
        "an operator's": Identity(ca, operator.certificate, operator.key),
        "expired": expired_identity(stage.authority, stage.authority.folder),
    }
    with member(stage) as peer:
        hello = peer.request(hello={"asked_at": address(stage)})
        for name, identity in identities.items():
            with identity.channel(address(stage)) as channel:
                expect(name, {Code.UNAVAILABLE}, call(channel, hello))
        renew = peer.request(renew={"sent_ms": 1, "acted_on": 1, "facts": {"name": "x"}})
        expect("no member", {Code.PERMISSION_DENIED, Code.FAILED_PRECONDITION},
               peer.send(address(stage), renew))


@trial("P3", PEER)
def of_another_pool(stage: Stage, door: str) -> None:
    with member(stage) as peer:
        for header in (peer.header(pool_id="0" * 26, pool_incarnation=1),
                       peer.header(to=peer.node_id),
                       peer.header(pool_id="0" * 26, pool_incarnation=1 << 60)):
            request = peer.request(header, renew={"sent_ms": 1, "acted_on": 1 << 60,
                                                  "facts": {"name": "x"}})
            expect("another pool", {Code.FAILED_PRECONDITION}, peer.send(address(stage), request))


@trial("P4", PEER)
def too_large(stage: Stage, door: str) -> None:
    with member(stage) as peer:
        large = peer.request(estranged={"why": "x" * 9 * MIB})
        expect("9 MB", {Code.RESOURCE_EXHAUSTED}, peer.send(address(stage), large))
        bomb = peer.request(estranged={"why": "x" * 64 * MIB}).SerializeToString()
        with peer.identity.channel(address(stage)) as channel:
            try:
                channel.unary_unary(METHOD)(bomb, timeout=20, compression=grpc.Compression.Gzip)
            except grpc.RpcError as error:
                expect("what unfolds", {Code.RESOURCE_EXHAUSTED, Code.UNIMPLEMENTED},
                       (error.code(), error.details()))
            else:
                raise AssertionError("64 MB were taken, compressed")


@trial("P4", PEER)
def hurried_streams(stage: Stage, door: str) -> None:
    """Streams that are begun and reset at once, as fast as they go; then who never reads."""
    with wire(stage) as channel:
        number = 1
        for _ in range((STREAMS_FULL if stage.full else STREAMS) // 100):
            piece = b""
            for _ in range(100):
                piece += frame(HEADERS, END_HEADERS, number, request_headers())
                piece += frame(RESET, 0, number, struct.pack("!I", 8))
                number += 2
            if not write(channel, piece):
                break  # it has enough: its right
    # What a member holds open is not bound by gRPC 1.51 (docs/adr/0023): some are let go at least.
    with wire(stage) as channel:
        for number in range(1, 2 * HELD, 2):
            if not write(channel, frame(HEADERS, END_HEADERS, number, request_headers())):
                break


@trial("P4", PEER)
def wrong_frames(stage: Stage, door: str) -> None:
    continued = frame(CONTINUATION, 0, 1, b"\0") * 20_000
    for octets in (frame(HEADERS, 0, 1, request_headers()) + continued,
                   frame(HEADERS, END_HEADERS, 0, b"\xff" * 100), frame(0xee, 0xff, 7, b"x" * 1000),
                   b"\xff\xff\xff" + bytes(6), frame(SETTINGS, 0, 0, b"\0\4\xff\xff\xff\xff"),
                   frame(HEADERS, END_HEADERS, 1, b"\x00\x7f\xff\xff\xff\xff\x0f" + b"a" * 2000),
                   frame(SETTINGS, 0, 0, b"") * 20_000, bytes(range(256)) * 64):
        with wire(stage) as channel:
            write(channel, octets)
            try:
                channel.unwrap()
            except (OSError, ssl.SSLError):
                pass


@contextmanager
def wire(stage: Stage) -> Iterator[ssl.SSLSocket]:
    """HTTP/2 below gRPC, as a bearer of the pool's certificate."""
    own = stage.pool_member()
    context = ssl.create_default_context(cafile=str(stage.authority.ca))
    context.check_hostname = False
    context.load_cert_chain(own.certificate, own.key)
    context.set_alpn_protocols(["h2"])
    with socket.create_connection(("127.0.0.1", stage.peer_port), timeout=10) as connection:
        with context.wrap_socket(connection) as channel:
            channel.sendall(PREFACE + frame(SETTINGS, 0, 0, b""))
            yield channel


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def request_headers() -> bytes:
    """Of a call: HPACK without its table."""
    path = METHOD.encode()
    kind = b"application/grpc"
    return (b"\x83\x87\x04" + bytes([len(path)]) + path + b"\x01\x01x" +
            b"\x0f\x10" + bytes([len(kind)]) + kind + b"\x00\x02te\x08trailers")


def write(channel: ssl.SSLSocket, octets: bytes) -> bool:
    try:
        channel.sendall(octets)
    except OSError:
        return False
    return True


@trial("P6", PEER)
def ids(stage: Stage, door: str) -> None:
    wrong = {Code.INVALID_ARGUMENT}
    with member(stage) as peer:
        hello = {"asked_at": address(stage)}
        for what, header in {"a path": peer.header(**{"from": b"../../etc/passwd"[:15]}),
                             "a short id": peer.header(**{"from": b"../"}),
                             "a long receiver": peer.header(to=bytes(17)),
                             "a file": peer.header(address="unix:/etc/passwd"),
                             "a key of a megabyte": peer.header(name="n" * 900_000),
                             "a pool of a megabyte": peer.header(pool_id="p" * 900_000)}.items():
            expect(what, wrong, peer.send(address(stage), peer.request(header, hello=hello)))


PEERS = "tests/system/proofs/peers.py"
COPIES = "tests/unit/storage/copy_conformance.h"
STORE = "tests/unit/storage/queue_store_conformance.h"
REFUSALS = "tests/unit/replication/edge/peer_exchange_refusal_test.cc"
CODEC = "tests/unit/replication/edge/data_codec_test.cc"
shown("P1", f"{PEERS}::handshakes", f"{REFUSALS}: who has no good certificate begins no stream")
shown("P2", f"{PEERS}::names", f"{REFUSALS}: with certificates of nodes, both ends must carry the "
      "name that they claim")
shown("P3", f"{PEERS}::headers", f"{PEERS}::proposals", f"{PEERS}::strangers",
      f"{REFUSALS}: a header that is judged bad ends the stream before a frame is heard",
      f"{STORE}: an operation below the fence changes nothing, for ever",
      "tests/unit/replication/core/control_core_test.cc: a disk that went back is a stranger's")
shown("P4", f"{REFUSALS}: streams beyond a bound are refused, those that say nothing too",
      "tests/unit/replication/edge/peer_exchange_test.cc: what a receiver does not work off stays "
      "with the sender, until it does",
      "tests/unit/replication/edge/peer_network_test.cc: messages that come faster than home takes "
      "them are refused beyond a bound")
shown("P5", f"{COPIES}: an operation that comes twice is applied once, while copying too",
      f"{COPIES}: a change that is not where it belongs is refused, and changes nothing",
      f"{STORE}: an operation that comes twice is applied once",
      f"{CODEC}: a page that is not in order or out of its range is refused")
shown("P6", f"{PEERS}::malformed", f"{CODEC}: a malformed id is refused, and the field named",
      "tests/unit/daemon/admin/admin_port_test.cc: ids that are none, keys of a megabyte and what "
      "unfolds are refused")
