"""What hostile clients, servers, peers and operators do, tried on nodes: proof `attacks`.

rows.py says what each number stands for and collects the trials; the other modules hold them.
"""
