"""OpenSMTPD, tuned: no bound on mail of one session, and more of them to a receiver, at once.

It has no setting for how many connections may wait to be taken: five may. When more come at once,
some stand still until the kernel gives them up. So it listens on several ports, and the load comes
to all of them, which no other server needs.
"""

import signers
from cases import SIGNATURES, Case
from foreign_peer import ForeignPeer
from ground import SELECTOR
from harness import foreign_opensmtpd
from harness.foreign_server import FILES
from harness.ports import free_port
from sources import Door

CONFIG = """\
pki here cert "{files}/server.pem"
pki here key "{files}/server.key"
smtp max-message-size "100M"
smtp limit max-mails 1000000
mta limit max-conn-per-host 20
mta limit max-conn-per-route 20
mta limit session-mail-max 1000
mta limit conn-delay-relay 0
mta limit conn-delay-route 0
mta limit reconn-delay-route 0
{filters}
{listeners}
{actions}
{matches}
"""
FILTER = ('filter "{kind}" proc-exec "/usr/libexec/opensmtpd/filter-dkimsign -a {algorithm} '
          '-d {kind}.test -s {selector} -k {folder}/{kind}.key" user "opensmtpd" '
          'group "opensmtpd"\n')
LISTENER = ("listen on 127.0.0.1 port {port} tls pki here hostname opensmtpd.posthorse.test"
            "{filtered}\n")
LISTENERS = 4


class OpenSmtpd(ForeignPeer, foreign_opensmtpd.OpenSmtpd):
    title = "OpenSMTPD"
    packages = ("opensmtpd", "opensmtpd-filter-dkimsign")
    spool = "/var/spool/smtpd"
    config_file = "/etc/smtpd-test.conf"
    key_reader = "opensmtpd"

    def configure(self) -> None:
        # Its resolver would ask the DNS first, and wait for it.
        self.write("/etc/resolv.conf", "lookup file\n")
        self._ports = {kind: [port, *(free_port() for _ in range(LISTENERS - 1))]
                       for kind, port in self.doors_by_kind.items()}
        hops = self.ground.next_hops()
        filters = "".join(FILTER.format(kind=kind, algorithm=signers.ALGORITHMS[kind],
                                        selector=SELECTOR, folder=signers.FOLDER)
                          for kind in SIGNATURES)
        listeners = "".join(LISTENER.format(
            port=port, filtered=f' filter "{kind}"' if kind else "")
            for kind, ports in self._ports.items() for port in ports)
        actions = "".join(f'action "{domain}" relay host "smtp://{address}:{port}"\n'
                          for domain, (address, port) in hops.items())
        matches = "".join(f'match from any for domain "{domain}" action "{domain}"\n'
                          for domain in hops)
        self.write(self.config_file, CONFIG.format(
            files=FILES, filters=filters, listeners=listeners, actions=actions,
            matches=matches))

    def lacks(self, case: Case) -> str:
        """With OpenSSL 3 the process that holds the keys cannot sign."""
        return "no TLS handshake succeeds (EVP lib)" if case.tls != "none" else super().lacks(case)

    def doors(self, case: Case) -> list[Door]:
        return [("127.0.0.1", port) for port in self._ports[case.signed]]

    def settings(self) -> str:
        """Without the many routes."""
        return "".join(line for line in super().settings().splitlines(keepends=True)
                       if '"d' not in line)
