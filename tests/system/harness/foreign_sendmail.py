"""sendmail as a foreign server."""

from harness.foreign_server import FILES, OWNER, RECIPIENTS_MAX, TAKEN, UNKNOWN_USER, ForeignServer

# Of every configuration: who it is, and its certificate.
CONFIG_HEAD = """\
include(`/usr/share/sendmail/cf/m4/cf.m4')dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `sendmail.posthorse.test')dnl
define(`confSERVICE_SWITCH_FILE', `/etc/mail/service.switch-test')dnl
define(`confTO_IDENT', `0')dnl
define(`confCACERT_PATH', `{files}')dnl
define(`confCACERT', `{files}/server.pem')dnl
define(`confSERVER_CERT', `{files}/server.pem')dnl
define(`confSERVER_KEY', `{files}/server.key')dnl
"""
CONFIG = CONFIG_HEAD + """\
define(`confMAX_RCPTS_PER_MESSAGE', `{recipients_max}')dnl
define(`confMAX_MESSAGE_SIZE', `104857600')dnl
define(`confBAD_RCPT_THROTTLE', `0')dnl
define(`confPRIVACY_FLAGS', `')dnl
define(`confQUEUE_LA', `1000')dnl
define(`confREFUSE_LA', `1000')dnl
define(`confMIN_QUEUE_AGE', `0')dnl
define(`SMART_HOST', `relay:[127.0.0.1]')dnl
define(`RELAY_MAILER_ARGS', `TCP $h {relay_port}')dnl
FEATURE(`promiscuous_relay')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`nocanonify')dnl
FEATURE(`no_default_msa')dnl
DAEMON_OPTIONS(`Port={port}, Addr=127.0.0.1, Name=MTA')dnl
MAILER(`smtp')dnl
LOCAL_RULE_0
R$+ < @ $* {domain} $* >\t$#take $@ {domain} $: $1
LOCAL_RULESETS
SLocal_check_rcpt
R< {unknown} @ $* {domain} >\t$#error $@ 5.1.1 $: "550 no such user here"
R{unknown} @ $* {domain}\t$#error $@ 5.1.1 $: "550 no such user here"
MAILER_DEFINITIONS
Mtake,\tP=/usr/local/bin/take, F=lsDFMnuqP9, S=EnvFromL/HdrFromL, R=EnvToL/HdrToL,
\tT=DNS/RFC822/X-Unix, E=\\n, U={owner}:{owner}, A=take $u
"""
# A maildir by the shortest means: a message has its name once it is whole.
TAKE = """\
#!/bin/sh
mkdir -p {taken}/all/tmp {taken}/all/new
file=$(mktemp {taken}/all/tmp/XXXXXXXXXX) && cat >"$file" && mv "$file" {taken}/all/new/
"""
QUEUE = "/var/spool/mqueue"
PROGRAM = "/usr/libexec/sendmail/sendmail"


class Sendmail(ForeignServer):
    name = "sendmail"
    packages = ("sendmail-bin",)

    def configure(self) -> None:
        self.write("/usr/local/bin/take", TAKE.format(taken=TAKEN), mode=0o755)
        self.write("/etc/mail/service.switch-test", "hosts\tfiles\naliases\tfiles\n")
        self.write("/etc/mail/test.mc", CONFIG.format(
            files=FILES, recipients_max=RECIPIENTS_MAX, relay_port=self.relay_port, port=self.port,
            domain=self.domain, unknown=UNKNOWN_USER, owner=OWNER))
        self.root.run("/bin/sh", "-c", "m4 /etc/mail/test.mc >/etc/mail/test.cf")
        self.root.run("chown", "root:root", QUEUE)

    def command(self) -> list[str]:
        return [PROGRAM, "-bD", "-q1h", "-C/etc/mail/test.cf"]

    def version(self) -> str:
        said = self.root.run(PROGRAM, "-C/etc/mail/test.cf", "-d0.1", "-bv", "root")
        return "sendmail " + said.split("Version ", 1)[1].split("\n", 1)[0]

    def flush_command(self) -> list[str]:
        return [PROGRAM, "-q", "-C/etc/mail/test.cf"]

    def queue_length(self) -> int:
        return len(list(self.path(QUEUE).rglob("qf*")))
