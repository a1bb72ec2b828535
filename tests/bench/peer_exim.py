"""Exim, tuned: mail is delivered at once however much came over a connection."""

import signers
from cases import SIGNATURES
from foreign_peer import ForeignPeer
from ground import SELECTOR
from harness import foreign_exim
from harness.foreign_server import FILES

CONFIG = """\
primary_hostname = exim.posthorse.test
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
log_file_path = /var/log/exim4/%slog
message_logs = false
split_spool_directory = true
keep_environment =
host_lookup =
rfc1413_query_timeout = 0s
tls_advertise_hosts = *
tls_resumption_hosts = *
tls_certificate = {files}/server.pem
tls_privatekey = {files}/server.key
pipelining_advertise_hosts = *
smtp_accept_max = 300
smtp_accept_max_per_connection = 0
smtp_accept_queue_per_connection = 0
smtp_connect_backlog = 300
acl_smtp_rcpt = accept
acl_smtp_data = accept

begin routers
away:
  driver = manualroute
  route_data = ${{lookup{{$domain}}lsearch{{/etc/exim4/hops}}}}
  self = send
  transport = ${{lookup{{$domain}}lsearch{{/etc/exim4/transports}}{{$value}}{{fast}}}}

begin transports
{transports}
begin retry
* * F,4h,4h
"""
TRANSPORT = """\
{name}:
  driver = smtp
  port = {port}
  allow_localhost
  hosts_try_chunking =
  dkim_domain = ${{if match_domain{{$sender_address_domain}}{{{signed}}}\
{{$sender_address_domain}}}}
  dkim_selector = {selector}
  dkim_private_key = ${{lookup{{$dkim_domain}}lsearch{{/etc/exim4/keys}}}}
"""


class Exim(ForeignPeer, foreign_exim.Exim):
    title = "Exim"
    spool = "/var/spool/exim4"
    config_file = "/etc/exim4/exim4.conf"
    key_reader = "Debian-exim"

    def configure(self) -> None:
        self.doors_by_kind = dict.fromkeys(self.doors_by_kind, self.port)
        hops = self.ground.next_hops()
        names = self.ground.receivers.ports
        transports = "".join(TRANSPORT.format(
            name=name, port=port, selector=SELECTOR,
            signed=" : ".join(f"{kind}.test" for kind in SIGNATURES))
            for name, port in names.items())
        self.write("/etc/exim4/hops", "".join(f"{domain}: {address}\n"
                                              for domain, (address, _) in hops.items()))
        of_domain = {f"{name}.test": name for name in names} | {"d0.test": "dead"}
        self.write("/etc/exim4/transports", "".join(f"{domain}: {name}\n"
                                                    for domain, name in of_domain.items()))
        self.write("/etc/exim4/keys", "".join(f"{kind}.test: {signers.FOLDER}/{kind}.key\n"
                                              for kind in SIGNATURES))
        self.write(self.config_file, CONFIG.format(port=self.port, files=FILES,
                                                   transports=transports), mode=0o640)
        self.root.run("chgrp", "-R", "Debian-exim", self.config_file, FILES)
        self.path(f"{FILES}/server.key").chmod(0o640)
