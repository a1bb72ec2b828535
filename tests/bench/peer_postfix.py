"""Postfix, tuned: the ratios of the table are to it."""

from cases import SIGNATURES, Case
from foreign_peer import SignedByMilters
from ground import Ground
from harness import postfix
from harness.foreign_server import FILES
from harness.postfix_root import MAILER

DOOR = "127.0.0.1:{port} inet n - n - - smtpd -o smtpd_milters=unix:{milter}\n"
SETTINGS = {
    "transport_maps": "texthash:/etc/postfix-hops",
    "smtp_connection_cache_on_demand": "yes",
    # It would pause before it takes more than it has delivered.
    "in_flow_delay": "0s",
    "smtpd_peername_lookup": "no",
    "smtpd_recipient_restrictions": "permit_mynetworks, reject",
    "smtpd_tls_security_level": "may",
    "smtpd_tls_chain_files": f"{FILES}/server.key, {FILES}/server.pem",
    # What is deferred stays so during the run.
    "minimal_backoff_time": "4h",
    "maximal_backoff_time": "4h",
    "hash_queue_depth": "2",
}


class Postfix(SignedByMilters):
    name = "postfix"
    title = "Postfix"
    selections = MAILER
    packages = ("postfix", "opendkim")

    def __init__(self, ground: Ground) -> None:
        super().__init__(ground)
        self._spool = ground.scratch / "Postfix-spool"
        self._instance = postfix.Postfix(self.root, self._spool, SETTINGS)
        self.doors_by_kind[""] = self._instance.port

    def _move_spool(self) -> None:
        """Its instance is made with the spool where it shall be."""

    def configure(self) -> None:
        hops = "".join(f"{domain} smtp:[{address}]:{port}\n"
                       for domain, (address, port) in self.ground.next_hops().items())
        self.write("/etc/postfix-hops", hops)
        self._instance.write_files()
        with self.path(f"{self._instance.config}/master.cf").open("a") as master:
            for kind in SIGNATURES:
                master.write(DOOR.format(port=self.doors_by_kind[kind],
                                         milter=self.milters[kind].socket))

    def start(self) -> None:
        with self.group.entered():
            self.start_filters()
            self._instance.start()

    def stop(self) -> None:
        self._instance.stop()
        self.stop_filters()

    def running(self) -> bool:
        return self._instance.running()

    def log(self) -> str:
        return self._instance.log()

    def settings(self) -> str:
        milters = "".join(f"opendkim:\n{milter.settings()}" for milter in self.milters.values())
        return f"postconf -n:\n{self._instance.postconf()}{milters}"

    def version(self) -> str:
        return "Postfix " + self._instance.version()

    def command(self) -> list[str]:
        raise NotImplementedError("its own harness starts it")

    def flush_command(self) -> list[str]:
        return ["/usr/sbin/postqueue", "-c", self._instance.config, "-f"]

    def lacks(self, case: Case) -> str:
        return ""

    def queue_length(self) -> int:
        return sum(self._count(queue) for queue in ("incoming", "active", "deferred"))

    def nothing_moves(self) -> bool:
        """All that is queued waits for its time."""
        return not self._count("incoming") and not self._count("active")

    def _count(self, queue: str) -> int:
        return sum(1 for path in (self._spool / queue).rglob("*") if path.is_file())
