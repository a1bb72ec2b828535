"""OpenSMTPD as a foreign server."""

from harness.foreign_server import FILES, RECIPIENTS_MAX, TAKEN, UNKNOWN_USER, ForeignServer

CONFIG = """\
pki here cert "{files}/server.pem"
pki here key "{files}/server.key"
table users {{ "@" = "taker" }}
smtp max-message-size "100M"
smtp limit max-rcpt {recipients_max}
listen on 127.0.0.1 port {port} tls pki here hostname opensmtpd.posthorse.test
action "take" maildir "{taken}/all" virtual <users>
action "away" relay host "smtp://127.0.0.1:{relay_port}"
match from any for rcpt-to {{ {refused} }} reject
match from any for domain {{ "{domain}", "*.{domain}" }} action "take"
match from any for any action "away"
"""
COMMAND = "/usr/sbin/smtpctl"


class OpenSmtpd(ForeignServer):
    name = "opensmtpd"
    packages = ("opensmtpd",)
    gives_up_on_refusals = True
    selections = "opensmtpd opensmtpd/mailname string opensmtpd.posthorse.test\n"

    def configure(self) -> None:
        refused = ", ".join(f'"{UNKNOWN_USER}@{prefix}{self.domain}"'
                            for prefix in ("", "clear.", "mute."))
        self.write("/etc/smtpd-test.conf", CONFIG.format(
            files=FILES, recipients_max=RECIPIENTS_MAX, port=self.port, taken=TAKEN,
            relay_port=self.relay_port, refused=refused, domain=self.domain))

    def command(self) -> list[str]:
        return ["/usr/sbin/smtpd", "-d", "-f", "/etc/smtpd-test.conf"]

    def version(self) -> str:
        said = self.root.run("/bin/sh", "-c", "/usr/sbin/smtpd -h 2>&1 || true")
        return next(line.removeprefix("version: ") for line in said.splitlines()
                    if line.startswith("version"))

    def flush_command(self) -> list[str]:
        return [COMMAND, "schedule", "all"]

    def queue_length(self) -> int:
        return len(self.root.run(COMMAND, "show", "queue").splitlines())
