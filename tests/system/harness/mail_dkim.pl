# Verifies DKIM signatures with Mail::DKIM: mail_dkim.pl RECORDS FILE...
#
# Prints one line a file: the results of its signatures in order, as `algorithm=result`. Keys come
# from RECORDS, rows of `name<TAB>record`: nothing is looked up. Debian 12's Mail::DKIM knows no
# Ed25519 yet; it gets RFC 8463 here as its later releases have it: its own choice of header fields,
# canonicalisation and hashes, and CryptX for the signature.
use strict;
use warnings;
use Mail::DKIM::Verifier;

package Ed25519Sha256;
use parent -norequire, 'Mail::DKIM::Algorithm::rsa_sha256';
use Crypt::PK::Ed25519;
use MIME::Base64;

sub verify {
    my ($self) = @_;
    my $public = decode_base64($self->signature->get_public_key->data);
    my $key = Crypt::PK::Ed25519->new->import_key_raw($public, 'public');
    my $signature = decode_base64($self->signature->data);
    return unless $key->verify_message($signature, $self->{header_digest}->digest);
    return $self->check_body_hash;
}

# Mail::DKIM asks every key for its size, by the measure of RSA.
package Ed25519Size;
sub size { 256 }

package main;

my %records;
open(my $rows, '<', shift @ARGV) or die $!;
while (<$rows>) { chomp; my ($name, $record) = split(/\t/, $_, 2); $records{$name} = $record; }

sub key_of {
    my ($selector, $domain) = @_;
    my $record = $records{"$selector._domainkey.$domain"} or return;
    my $key = Mail::DKIM::PublicKey->parse($record);
    $key->{Selector} = $selector;
    $key->{Domain} = $domain;
    if (($key->get_tag('k') // 'rsa') eq 'ed25519') {
        $key->cork(bless {}, 'Ed25519Size');
    } else {
        $key->check;
    }
    return $key;
}

{
    no warnings 'redefine';
    my $known_class = \&Mail::DKIM::Signature::get_algorithm_class;
    my $known_hash = \&Mail::DKIM::Signature::hash_algorithm;
    *Mail::DKIM::Signature::get_algorithm_class =
        sub { $_[1] eq 'ed25519-sha256' ? 'Ed25519Sha256' : $known_class->(@_) };
    *Mail::DKIM::Signature::hash_algorithm =
        sub { $_[0]->algorithm eq 'ed25519-sha256' ? 'sha256' : $known_hash->(@_) };
    *Mail::DKIM::PublicKey::fetch_async = sub {
        my ($class, %query) = @_;
        my $key = key_of($query{Selector}, $query{Domain});
        return sub { $query{Callbacks}{Success}->($key) };
    };
}

for my $file (@ARGV) {
    open(my $mail, '<:raw', $file) or die "$file: $!";
    local $/;
    my $verifier = Mail::DKIM::Verifier->new;
    $verifier->PRINT(scalar <$mail>);
    $verifier->CLOSE;
    my @results = map { $_->algorithm . '=' . ($_->result // 'none') } $verifier->signatures;
    print "@results\n";
}
