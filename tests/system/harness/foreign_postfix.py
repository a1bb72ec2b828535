"""Postfix as a foreign server."""

from harness import postfix
from harness.foreign_server import FILES, OWNER, RECIPIENTS_MAX, TAKEN, UNKNOWN_USER, ForeignServer
from harness.postfix_root import MAILER


class Postfix(ForeignServer):
    name = "postfix"
    packages = ("postfix", "postfix-pcre")
    selections = MAILER

    def configure(self) -> None:
        self._instance = postfix.Postfix(self.root, self.root.path.parent / "spool",
                                         self._settings())
        self.port = self._instance.port
        self._instance.write_files()

    def _settings(self) -> dict[str, str]:
        domains = f"{self.domain} clear.{self.domain} mute.{self.domain}"
        refused = " ".join(f"{{ {UNKNOWN_USER}@{domain} = 550 5.1.1 no such user here }}"
                           for domain in domains.split())
        return {
            "relayhost": f"[127.0.0.1]:{self.relay_port}",
            "smtp_tls_security_level": "may",
            "smtpd_tls_security_level": "may",
            "smtpd_tls_chain_files": f"{FILES}/server.key, {FILES}/server.pem",
            "smtpd_tls_received_header": "yes",
            "smtpd_peername_lookup": "no",
            "smtpd_recipient_limit": str(RECIPIENTS_MAX),
            "smtpd_recipient_overshoot_limit": "10000",
            "smtpd_recipient_restrictions": f"check_recipient_access inline:{{ {refused} }}",
            "default_destination_recipient_limit": "250",
            "smtputf8_enable": "yes",
            "smtp_send_xforward_command": "no",
            "virtual_mailbox_domains": domains,
            "virtual_mailbox_base": TAKEN,
            "virtual_mailbox_maps": "static:all/",
            "virtual_uid_maps": f"static:{OWNER}",
            "virtual_gid_maps": f"static:{OWNER}",
            "message_size_limit": "104857600",
            "mailbox_size_limit": "0",
            "virtual_mailbox_limit": "0",
        }

    def command(self) -> list[str]:
        raise NotImplementedError("its own harness starts it")

    def start(self) -> None:
        self._instance.start()

    def stop(self) -> None:
        self._instance.stop()

    def running(self) -> bool:
        return self._instance.running()

    def log(self) -> str:
        return self._instance.log()

    def version(self) -> str:
        return "Postfix " + self._instance.version()

    def flush_command(self) -> list[str]:
        return ["/usr/sbin/postqueue", "-c", self._instance.config, "-f"]

    def queue_length(self) -> int:
        return self._instance.queue_length()
