#!/usr/bin/python3
"""Plays tests/dialog/*.smtp against a server: run.py HOST PORT FILE...

Certificates are not verified: the server under test brings its own. Exits 1 when a conversation
does not go as written, after naming file and line.
"""

import argparse
import pathlib
import re
import socket
import ssl
import sys

TIMEOUT_SECONDS = 20


class Mismatch(Exception):
    pass


def unescape(text):
    """The bytes that a client line stands for; README.md lists the escapes."""
    repeated = re.sub(r"\{([^{}]*)\*(\d+)\}", lambda m: m[1] * int(m[2]), text)
    letters = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}
    out = b""
    pieces = re.findall(r"([^\\]+)|\\(?:([rnt0\\])|x([0-9a-fA-F]{2}))", repeated)
    for plain, letter, digits in pieces:
        if plain:
            out += plain.encode("latin-1")
        else:
            out += letters[letter] if letter else bytes([int(digits, 16)])
    return out


def parse(path):
    """Yields (line number, mark, text); the profile is a step of its own."""
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("profile "):
            yield number, "profile", line[8:]
            continue
        count, rest = re.fullmatch(r"(\d*) *(.*)", line).groups()
        mark, text = (rest, "") if rest in ("TLS", "CLOSED") else (rest[:2], rest[3:])
        for _ in range(int(count or 1)):
            yield number, mark, text


class Connection:
    def __init__(self, host, port):
        self.socket = socket.create_connection((host, port), TIMEOUT_SECONDS)
        self.buffer = b""
        self.reply = []

    def start_tls(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server hung up; what it said before is still to be read

    def line(self):
        while b"\r\n" not in self.buffer:
            try:
                piece = self.socket.recv(65536)
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise Mismatch(f"the server closed the connection, with {self.buffer!r} unread")
            self.buffer += piece
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode("latin-1")

    def take_reply(self):
        self.reply = [self.line()]
        while self.reply[-1][3:4] == "-":
            self.reply.append(self.line())
        return self.reply[0]

    def offers(self, text):
        return any(line[4:].startswith(text) for line in self.reply)

    def expect_closed(self):
        try:
            line = self.line()
        except Mismatch:
            return
        raise Mismatch(f"the connection is open: {line}")


def expect(line, beginning):
    if not line.startswith(beginning):
        raise Mismatch(f"expected {beginning!r}, got {line!r}")


def play_step(connection, mark, text):
    if mark == "C:":
        connection.send(unescape(text) + b"\r\n")
    elif mark == "C>":
        connection.send(unescape(text))
    elif mark == "S:":
        expect(connection.line(), text)
    elif mark == "S*":
        expect(connection.take_reply(), text)
    elif mark in ("S+", "S-"):
        if connection.offers(text) != (mark == "S+"):
            raise Mismatch(f"{'not offered' if mark == 'S+' else 'offered'}: {text}")
    elif mark == "TLS":
        connection.start_tls()
    elif mark == "CLOSED":
        connection.expect_closed()
    else:
        raise Mismatch(f"not a statement: {mark}")


def play(host, port, path):
    connection = None
    for number, mark, text in parse(path):
        try:
            if mark == "profile":
                connection = Connection(host, port)
                if text == "submissions":
                    connection.start_tls()
                continue
            play_step(connection, mark, text)
        except (Mismatch, OSError) as why:
            raise Mismatch(f"{path}:{number}: {why}") from why


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("--profile", help="play only the files of this profile")
    arguments = parser.parse_args()
    failed = 0
    played = 0
    for path in arguments.files:
        profile = next(text for _, mark, text in parse(path) if mark == "profile")
        if arguments.profile not in (None, profile):
            continue
        played += 1
        try:
            play(arguments.host, arguments.port, path)
        except Mismatch as why:
            failed += 1
            print(why, file=sys.stderr)
    print(f"{played - failed} of {played} conversations as written")
    return 1 if failed or not played else 0


if __name__ == "__main__":
    sys.exit(main())
