"""A message that kills its nodes, one after the other, is set aside, and all other mail goes on."""

import smtplib

from harness import wait
from harness.mail_pool import MailPool
from harness.pool import PoolNode
from harness.recording_sink import Mode

ATTEMPTS = 3
MAIL = "Date: Thu, 26 Nov 2026 07:00:00 +0000\r\nMessage-ID: <{0}@home.test>\r\n\r\n{0}\r\n"
# Its server answers the end of a message after so long that its sender is dead before.
DOMAINS = {"deadly.test": Mode(delay_s=(300, 300)), "sink.test": "accept"}


def send(node: PoolNode, recipient: str, name: str) -> None:
    with smtplib.SMTP(node.address, node.ports["mx"], "client.test") as client:
        client.sendmail("ann@home.test", recipient, MAIL.format(name))


def sender_of(pool: MailPool, number: int) -> PoolNode:
    """The node that has sent the end of the message for the `number`th time."""
    def tried() -> list:
        return [one for one in pool.servers["deadly.test"].attempts() if one.dot]

    attempts = wait.until(lambda: len(tried()) == number and tried(), f"attempt {number}", 60)
    return next(node for node in pool.nodes if node.address == attempts[-1].peer)


def held(pool: MailPool) -> list[dict]:
    return [one for one in pool.nodes[0].queue("--state", "held")]


def test_a_message_that_kills_its_nodes_is_held_and_other_mail_goes_on():
    settings = {"queue": {"poison_attempts": ATTEMPTS}}
    with MailPool(3, DOMAINS, settings) as pool:
        pool.start()
        for node in pool.nodes:
            wait.until(node.ready, f"{node.name} takes mail", 30)
        send(pool.nodes[0], "you@deadly.test", "deadly")
        for number in range(1, ATTEMPTS + 1):
            victim = sender_of(pool, number)
            pool.kill(victim)
            victim.start()
        [message] = wait.until(lambda: held(pool), "it is held", 60)
        assert message["held_reason"].startswith(f"poison: {ATTEMPTS} deliveries in a row")
        assert "poison: 3" in pool.nodes[1].cli("queue", "show", message["id"])
        assert "held: poison" in pool.nodes[2].cli("queue", "ls")
        logs = [node.log.read_text() for node in pool.nodes]
        assert sum(log.count("poison_held") for log in logs) == 1
        assert sum(node.metrics()["posthorse_poison_messages_total"] for node in pool.nodes) == 1

        for node in pool.nodes:
            send(node, "you@sink.test", node.name)
        wait.until(lambda: pool.sink.arrived == 3, "other mail arrives")
        assert len(pool.servers["deadly.test"].attempts()) == ATTEMPTS

        pool.set_modes("accept")
        pool.nodes[0].cli("queue", "resume", message["id"], "--reason", "mended")
        wait.until(lambda: not pool.nodes[0].queue(), "an operator lets it go", 60)
        assert len(pool.servers["deadly.test"].attempts()) == ATTEMPTS + 1
