"""Other people's mail clients and mail servers understand a node, and it understands them.

interop_clients.py   clients x AUTH mechanisms x TLS, each with a wrong password, too
interop_servers.py   servers x what they speak, as receivers and as senders

A thing that the other does not know is shown as such, found by asking it. The bounded form tries
Postfix and Exim, `--full` OpenSMTPD and sendmail, too, and the newest nodemailer.
"""

from proofs import interop_clients, interop_servers
from proofs.figures import Figures


def main(full: bool) -> None:
    figures = Figures("other people's clients and servers")
    for half in (interop_clients, interop_servers):
        for name, value in half.run(full).items():
            figures.add(name, value)
    figures.show()
