"""An SMTP client down to the octet, for what no library would send."""

import socket


class RawClient:
    def __init__(self, port: int, timeout_s: float = 300) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self._file = self._socket.makefile("rb")
        self.greeting = self.reply()

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *_) -> None:
        self._file.close()
        self._socket.close()

    def write(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def reply(self) -> str:
        """All lines of one reply; empty when the server closed."""
        lines = []
        while True:
            line = self._file.readline().decode("latin-1")
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return "\n".join(lines)

    def say(self, line: str) -> str:
        self.write(line.encode("latin-1") + b"\r\n")
        return self.reply()

    def begin_message(self, sender: str = "load@posthorse.test",
                      recipient: str = "taker@sink.test") -> None:
        """Up to the 354."""
        for line, code in (("EHLO client.test", "250"), (f"MAIL FROM:<{sender}>", "250"),
                           (f"RCPT TO:<{recipient}>", "250"), ("DATA", "354")):
            answer = self.say(line)
            if not answer.startswith(code):
                raise AssertionError(f"{line}: {answer}")


_BLOCK = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789a\r\n" * 4096


def send_large(port: int, size_bytes: int) -> str:
    """Sends one message of about that size; the reply to its end."""
    with RawClient(port) as client:
        client.begin_message()
        client.write(b"From: load@posthorse.test\r\nSubject: large\r\n\r\n")
        for _ in range(size_bytes // len(_BLOCK)):
            client.write(_BLOCK)
        return client.say(".")
