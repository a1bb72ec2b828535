"""The rows of the table: a base case, and one thing varied at a time around it.

Contract  `ROWS` in the order of the table. What a row needs of the receivers and of the servers'
          settings is in every server all the time: a sender's domain says whether mail is signed,
          a recipient's domain where it goes. Pools are started for their rows alone.
"""

from dataclasses import dataclass, replace

SESSIONS = 20
SIGNATURES = ("rsa", "ed25519")
# Of the row with many destinations: so many that live, and one that takes connections in silence.
DESTINATIONS = 200  # at most 254: one address each
DEFERRED = 1_000_000


@dataclass(frozen=True)
class Case:
    name: str    # for --only
    title: str
    size_bytes: int = 4096
    kept: bool = True        # many messages in one connection, or a connection for each
    tls: str = "none"        # "none", "full" or "resumed": the load's connections
    signed: str = ""         # one of SIGNATURES
    receiver: str = "fast"   # "fast", "soft" (some messages get 451) or "many" of them
    deferred: int = 0        # messages that wait in the queue meanwhile
    nodes: int = 0           # of a pool of Posthorse, beside Postfix alone; 0: every server
    copies: int = 0
    long: bool = False       # measured with --full or --only alone

    @property
    def sender(self) -> str:
        return f"load@{self.signed or 'plain'}.test"

    @property
    def recipient(self) -> str:
        """Of the row with many destinations its local part alone counts."""
        return f"taker@{self.receiver}.test"

    @property
    def domains(self) -> int:
        """Of the recipients, in turn: d0.test, which is dead, d1.test and so on; 0: one's own."""
        return DESTINATIONS + 1 if self.receiver == "many" else 0

    def arriving(self, messages: int) -> int:
        """How many of so many are answered by the receiver: those that are not for the dead."""
        return messages - -(-messages // self.domains) if self.domains else messages


BASE = Case("base", "base: 4 KB, connections kept, plain, fast receiver, empty queue")
NEW = replace(BASE, name="new", title="a new connection for each message", kept=False)
ROWS = (
    BASE,
    *(replace(BASE, name=f"pool-{nodes}-{copies}", title=f"a pool of {nodes}, copies = {copies}",
              nodes=nodes, copies=copies) for nodes, copies in ((3, 1), (3, 2), (3, 3), (5, 2))),
    NEW,
    replace(BASE, name="20k", title="20 KB", size_bytes=20 * 1024),
    replace(BASE, name="100k", title="100 KB", size_bytes=100 * 1024),
    replace(NEW, name="tls-full", title="new connections, full TLS handshakes", tls="full"),
    replace(NEW, name="tls-resumed", title="new connections, TLS resumed", tls="resumed"),
    replace(BASE, name="rsa", title="signed, RSA 2048", signed="rsa"),
    replace(BASE, name="ed25519", title="signed, Ed25519", signed="ed25519"),
    replace(BASE, name="soft", title="5 % of messages get 451 at the receiver", receiver="soft"),
    replace(BASE, name="dead", title=f"{DESTINATIONS} destinations and a silent one",
            receiver="many"),
    replace(BASE, name="deferred", title="behind deferred messages", deferred=DEFERRED, long=True),
)
