"""An LMTP server that says after the dot what it is told to, and leaves when it is told to.

Mailboxes   `plans` are taken one for each message: the replies to its recipients, in order. A plan
            that is shorter than its recipients ends the connection there. Without plans everything
            is taken. `heard` has the recipients of each message, in order of arrival.
"""

import socketserver
import threading

from harness.ports import free_port


class _Conversation(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self._say("220 box.test LMTP")
        recipients: list[str] = []
        while line := self.rfile.readline():
            command = line.rstrip(b"\r\n").decode()
            verb = command[:4].upper()
            if verb == "LHLO":
                self._say("250-box.test\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES")
            elif verb == "RCPT":
                recipients.append(command.split("<")[1].split(">")[0])
                self._say("250 2.1.5 ok")
            elif verb == "DATA":
                self._say("354 go on")
                if not self._take(recipients):
                    return
                recipients = []
            elif verb in ("MAIL", "RSET"):
                recipients = []
                self._say("250 2.0.0 ok")
            elif verb == "QUIT":
                return self._say("221 2.0.0 bye")
            else:
                self._say("500 5.5.1 this is LMTP")

    def _take(self, recipients: list[str]) -> bool:
        while self.rfile.readline() not in (b".\r\n", b""):
            pass
        plan = self.server.mailboxes.plan_for(recipients)
        for reply in plan[:len(recipients)]:
            self._say(reply)
        return len(plan) >= len(recipients)

    def _say(self, lines: str) -> None:
        self.wfile.write(lines.encode() + b"\r\n")


class Mailboxes(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, *plans: list[str], port: int | None = None,
                 host: str = "127.0.0.1") -> None:
        self.port = port or free_port()
        self.mailboxes = self
        self._plans = list(plans)
        self._heard: list[list[str]] = []
        self._lock = threading.Lock()
        super().__init__((host, self.port), _Conversation)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "Mailboxes":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.shutdown()
        self._thread.join(10)
        self.server_close()

    def plan_for(self, recipients: list[str]) -> list[str]:
        with self._lock:
            self._heard.append(list(recipients))
            return self._plans.pop(0) if self._plans else ["250 2.0.0 saved"] * len(recipients)

    @property
    def heard(self) -> list[list[str]]:
        with self._lock:
            return list(self._heard)
