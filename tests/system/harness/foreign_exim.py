"""Exim as a foreign server."""

from harness.foreign_server import FILES, RECIPIENTS_MAX, TAKEN, UNKNOWN_USER, ForeignServer

CONFIG = """\
primary_hostname = exim.posthorse.test
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
log_file_path = /var/log/exim4/%slog
log_selector = +tls_cipher +smtp_protocol_error +received_recipients
keep_environment =
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts = *
tls_certificate = {files}/server.pem
tls_privatekey = {files}/server.key
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
chunking_advertise_hosts = *
pipelining_advertise_hosts = *
message_size_limit = 100M
recipients_max = {recipients_max}
recipients_max_reject = false
smtp_accept_max = 100
remote_max_parallel = 5
acl_smtp_rcpt = check_rcpt
acl_smtp_data = accept
trusted_users = root

begin acl
check_rcpt:
  deny    condition = ${{if eq{{$local_part}}{{{unknown}}}}}
          domains = {domain} : *.{domain}
          message = 5.1.1 no such user here
  accept  hosts = 127.0.0.1
  deny    message = relaying denied

begin routers
here:
  driver = accept
  domains = {domain} : *.{domain}
  transport = take
away:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = away

begin transports
take:
  driver = appendfile
  directory = {taken}/all
  maildir_format
  create_directory
  user = taker
  return_path_add = false
away:
  driver = smtp
  port = {relay_port}
  allow_localhost
  hosts_try_chunking = *

begin retry
* * F,1h,1m
"""


class Exim(ForeignServer):
    name = "exim"
    packages = ("exim4-daemon-light",)

    def configure(self) -> None:
        # Debian's generated configuration gives way to this file, and all of Exim reads it.
        self.write("/etc/exim4/exim4.conf", CONFIG.format(
            port=self.port, files=FILES, recipients_max=RECIPIENTS_MAX, unknown=UNKNOWN_USER,
            domain=self.domain, taken=TAKEN, relay_port=self.relay_port), mode=0o640)
        self.root.run("chgrp", "-R", "Debian-exim", "/etc/exim4/exim4.conf", FILES)
        self.path(f"{FILES}/server.key").chmod(0o640)

    def command(self) -> list[str]:
        return ["/usr/sbin/exim4", "-bdf", "-q1h"]

    def version(self) -> str:
        return self.root.run("/usr/sbin/exim4", "-bV").split(" #", 1)[0].replace("version ", "")

    def flush_command(self) -> list[str]:
        return ["/usr/sbin/exim4", "-qff"]

    def queue_length(self) -> int:
        return int(self.root.run("/usr/sbin/exim4", "-bpc"))

    def log(self) -> str:
        logs = sorted(self.path("/var/log/exim4").glob("*log"))
        return super().log() + "".join(log.read_text(errors="replace") for log in logs)
