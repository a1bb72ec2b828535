"""Rows that other tests and proofs show, by their names; and those that nothing shows yet."""

UNIT = "tests/unit/"
LOGINS = "tests/system/test_logins.py::"
VERIFICATION = "tests/system/test_verification.py::"

ELSEWHERE = [
    ("both", "new connections over 5 a second wait, and are not refused",
     [UNIT + "daemon/intake/pool_limits_test.cc::who connects too often waits for the greeting"]),
    ("both", "warn the sender at 4 h, bounce at 4 d",
     [UNIT + "daemon/report/settle_decision_test.cc::a warning is owed once its time has come",
      UNIT + "daemon/report/settle_decision_test.cc::past its time everything pending fails"]),
    ("both", "a delivery that stalls is broken off, and counts",
     [UNIT + "daemon/deliver/connection_ends_test.cc::outlasts all its time is broken off",
      UNIT + "replication/poison_test.cc::deliveries that stall are counted"]),
    ("both", "TLS below 1.2 is refused", ["proof tls"]),
    ("both", "rolling replacement at 100 % / 200 %, empty disks", ["proof handover"]),
    ("both", "a stop hands everything over in time", ["proof drain", "proof handover"]),
    ("both", "50 MB messages stream; memory has bounds", ["proof memory"]),
    ("both", "the container: no-new-privileges, one capability, non-root, logs on stdout",
     ["proof deployed"]),
    ("both", "acceptance: deferred mail, a node replaced, the same ids, delivered once",
     ["proof handover"]),
    ("both", "a poison message is set aside and does not follow the pool",
     ["tests/system/test_poison.py::"
      "test_a_message_that_kills_its_nodes_is_held_and_other_mail_goes_on",
      UNIT + "replication/poison_test.cc::three times in a row is held"]),
    ("both", "the queue as an API: a port with conformance tests",
     ["docs/queue-store.md::claim",
      UNIT + "storage/queue_store_conformance.h::below the fence changes nothing",
      UNIT + "storage/queue_store_test.cc::keeps the contract of queue stores"]),
    ("outbound", "SASL PLAIN, LOGIN and SCRAM-SHA-256, a password file",
     [LOGINS + "test_clients_log_in_by_every_mechanism_they_know",
      LOGINS + "test_gnu_sasl_logs_in_bound_to_the_channel_and_not"]),
    ("outbound", "brute force: limits for each address, in the whole pool",
     [LOGINS + "test_failed_logins_count_in_the_whole_pool"]),
    ("outbound", "both canonicalisations, judged by other people's verifiers", ["proof dkim"]),
    ("inbound", "behind a balancer: the PROXY protocol, version 1 and 2",
     ["tests/system/test_proxy.py::test_the_client_behind_the_balancer_is_in_the_trace"]),
    ("inbound", "a route's host that is silent is only away",
     [UNIT + "daemon/deliver/resolver_test.cc::a destination that a route names is never refused",
      "tests/system/test_node.py::test_a_destination_that_never_answers_holds_up_no_other"]),
    ("inbound", "Authentication-Results with dkim, spf and dmarc; forged ones removed",
     [VERIFICATION + "test_every_result_is_what_it_must_be",
      VERIFICATION + "test_fields_in_our_name_are_gone_and_signatures_of_them_stay_good",
      "tests/system/test_spf_suite.py::test_the_suite_of_rfc_7208"]),
    ("inbound", "verification rejects nothing, and tempfails while it cannot work",
     [VERIFICATION + "test_without_a_dns_server_mail_is_taken_and_told_so",
      VERIFICATION + "test_a_verifier_that_cannot_work_puts_mail_off_and_loses_none"]),
    ("inbound", "250 is durable custody", ["proof crash", "proof chaos"]),
]

OPEN = [
    ("both", "linux/arm64", "the tests run on amd64; the image is made of Debian's packages alone"),
]
