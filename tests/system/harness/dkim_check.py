"""Two judges of DKIM signatures that are not ours: dkimpy and Perl's Mail::DKIM."""

import subprocess
import tempfile
from pathlib import Path

import dkim

from harness.dkim_keys import Key

# Reads files named as arguments; prints one line a file: the results of its signatures, in order.
# The keys come from a file of `name<TAB>record` rows: nothing is looked up.
PERL = r"""
use strict; use warnings;
use Mail::DKIM::Verifier;
use Mail::DKIM::PublicKey;
my %records;
open(my $rows, '<', shift @ARGV) or die $!;
while (<$rows>) { chomp; my ($name, $record) = split(/\t/, $_, 2); $records{$name} = $record; }
{
    no warnings 'redefine';
    *Mail::DKIM::PublicKey::fetch_async = sub {
        my ($class, %prms) = @_;
        my $name = "$prms{Selector}._domainkey.$prms{Domain}";
        my $key = exists $records{$name} ? $class->parse($records{$name}) : undef;
        if ($key) { $key->{Selector} = $prms{Selector}; $key->{Domain} = $prms{Domain}; }
        return sub { $key or die "no key $name\n" };
    };
}
for my $file (@ARGV) {
    open(my $mail, '<:raw', $file) or die "$file: $!";
    local $/;
    my $text = <$mail>;
    my $verifier = Mail::DKIM::Verifier->new;
    $verifier->PRINT($text);
    $verifier->CLOSE;
    print join(' ', map { $_->algorithm . '=' . $_->result_detail } $verifier->signatures), "\n";
}
"""


def dkimpy_results(message: bytes, keys: list[Key]) -> list[bool]:
    """Whether each signature of a message is good, in the order of the header."""
    records = {key.name: key.record.encode() for key in keys}

    def lookup(name: bytes, timeout: int = 5) -> bytes | None:
        return records.get(name.decode().rstrip("."))

    verifier = dkim.DKIM(message)
    count = sum(1 for name, _ in verifier.headers if name.lower() == b"dkim-signature")
    return [_verify(verifier, index, lookup) for index in range(count)]


def _verify(verifier: dkim.DKIM, index: int, lookup) -> bool:
    try:
        return verifier.verify(idx=index, dnsfunc=lookup)
    except dkim.DKIMException:
        return False


def mail_dkim_results(messages: list[bytes], keys: list[Key]) -> list[list[str]]:
    """For each message the results of its signatures, such as "ed25519-sha256=pass"."""
    with tempfile.TemporaryDirectory() as folder:
        records = Path(folder) / "records"
        records.write_text("".join(f"{key.name}\t{key.record}\n" for key in keys))
        files = [Path(folder) / f"{n}.eml" for n in range(len(messages))]
        for file, message in zip(files, messages):
            file.write_bytes(message)
        answer = subprocess.run(["perl", "-e", PERL, str(records), *map(str, files)], check=True,
                                capture_output=True, text=True)
    return [line.split() if line else [] for line in answer.stdout.split("\n")[:len(messages)]]
