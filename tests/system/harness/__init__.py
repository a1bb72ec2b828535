"""Real processes for the system tests: nodes, servers, clients, a DNS, a certificate authority.

Everything listens on loopback, on ports chosen free, in folders made for the run. Nothing waits a
fixed time: `wait.until` polls a condition. Nothing reaches the outside but apt-get, once.
"""
