"""A server that offers the extensions it is told to, and remembers every line that it heard.

Speaker   takes all mail but what `refuses` names: a verb, or "." for the end of a message, and the
          reply to it. `heard` has the command lines of each message, `content` its octets with the
          stuffing taken out. With `tls` it offers STARTTLS, and its keywords behind that alone.
"""

import socketserver
import ssl
import threading
from dataclasses import dataclass, field

from harness.ports import free_port


@dataclass
class Heard:
    commands: list[str] = field(default_factory=list)
    content: bytes = b""


class _Conversation(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        speaker = self.server.speaker
        self._say("220 speaker.test ESMTP")
        message = Heard()
        while line := self.rfile.readline():
            command = line.rstrip(b"\r\n").decode("utf-8")
            verb = command[:4].upper()
            message.commands.append(command)
            if verb in speaker.refuses:
                self._say(speaker.refuses[verb])
            elif verb == "EHLO":
                self._say_offer(self._keywords())
                message = Heard()
            elif verb == "STAR":
                self._say("220 2.0.0 go on")
                self.connection = speaker.tls.wrap_socket(self.connection, server_side=True)
                self.rfile = self.connection.makefile("rb")
                self.wfile = self.connection.makefile("wb", buffering=0)
            elif verb == "DATA":
                self._say("354 go on")
                message.content = self._body()
                if "." not in speaker.refuses:
                    speaker.add(message)
                message = Heard()
                self._say(speaker.refuses.get(".", "250 2.0.0 taken"))
            elif verb == "QUIT":
                return self._say("221 2.0.0 bye")
            else:
                self._say("250 2.0.0 ok")

    def _keywords(self) -> tuple[str, ...]:
        speaker = self.server.speaker
        in_clear = speaker.tls and not isinstance(self.connection, ssl.SSLSocket)
        return ("STARTTLS",) if in_clear else speaker.keywords

    def _say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")

    def _say_offer(self, keywords: tuple[str, ...]) -> None:
        lines = ["speaker.test", *keywords]
        for line in lines[:-1]:
            self._say(f"250-{line}")
        self._say(f"250 {lines[-1]}")

    def _body(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)


class Speaker(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, *keywords: str, tls: ssl.SSLContext | None = None,
                 refuses: dict[str, str] | None = None) -> None:
        self.port = free_port()
        self.keywords = keywords
        self.tls = tls
        self.refuses = refuses or {}
        self.speaker = self
        self._messages: list[Heard] = []
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", self.port), _Conversation)
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)

    def __enter__(self) -> "Speaker":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.shutdown()
        self._thread.join(10)
        self.server_close()

    def add(self, message: Heard) -> None:
        with self._lock:
            self._messages.append(message)

    @property
    def heard(self) -> list[Heard]:
        with self._lock:
            return list(self._messages)
