"""sendmail, tuned: it takes and delivers whatever the load of the machine is."""

from cases import SIGNATURES
from foreign_peer import SignedByMilters
from harness import foreign_sendmail
from harness.foreign_server import FILES

CONFIG = foreign_sendmail.CONFIG_HEAD + """\
define(`confPRIVACY_FLAGS', `')dnl
define(`confDELIVERY_MODE', `background')dnl
define(`confQUEUE_LA', `1000')dnl
define(`confREFUSE_LA', `1000')dnl
define(`confDELAY_LA', `0')dnl
define(`confCONNECTION_RATE_THROTTLE', `0')dnl
FEATURE(`promiscuous_relay')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`nocanonify')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`mailertable', `hash /etc/bench-hops')dnl
{milters}
DAEMON_OPTIONS(`Port={port}, Addr=127.0.0.1, Name=MTA')dnl
{doors}
MAILER(`smtp')dnl
MAILER_DEFINITIONS
{mailers}
"""
MILTER = "MAIL_FILTER(`{kind}', `S=local:{socket}, F=T')dnl\n"
DOOR = "DAEMON_OPTIONS(`Port={port}, Addr=127.0.0.1, Name={kind}, InputMailFilters={kind}')dnl\n"
MAILER = """\
Mto{name},\tP=[IPC], F=mDFMuXa8, S=EnvFromSMTP/HdrFromSMTP, R=EnvToSMTP, E=\\r\\n, L=2040,
\tT=DNS/RFC822/SMTP, A=TCP $h {port}
"""


class Sendmail(SignedByMilters, foreign_sendmail.Sendmail):
    title = "sendmail"
    packages = ("sendmail-bin", "opendkim")
    spool = foreign_sendmail.QUEUE
    config_file = "/etc/mail/test.mc"

    def configure(self) -> None:
        self.doors_by_kind[""] = self.port
        ports = self.ground.receivers.ports
        name_of = {port: name for name, port in ports.items()}
        hops = "".join(f"{domain}\tto{name_of[port]}:[{address}]\n"
                       for domain, (address, port) in self.ground.next_hops().items())
        self.write("/etc/mail/service.switch-test", "hosts\tfiles\naliases\tfiles\n")
        self.write("/etc/bench-hops", hops)
        self.root.run("/bin/sh", "-c", "makemap hash /etc/bench-hops </etc/bench-hops")
        self.write(self.config_file, CONFIG.format(
            files=FILES, port=self.port,
            milters="".join(MILTER.format(kind=kind, socket=milter.socket)
                            for kind, milter in self.milters.items()),
            doors="".join(DOOR.format(kind=kind, port=self.doors_by_kind[kind])
                          for kind in SIGNATURES),
            mailers="".join(MAILER.format(name=name, port=port) for name, port in ports.items())))
        self.root.run("/bin/sh", "-c", "m4 /etc/mail/test.mc >/etc/mail/test.cf")
        self.root.run("chown", "root:root", foreign_sendmail.QUEUE)
