# What Mail::DeliveryStatus::BounceParser finds in bounces: one line of JSON for each file named.
use strict;
use warnings;
use JSON::PP;
use Mail::DeliveryStatus::BounceParser;

for my $name (@ARGV) {
    open my $file, '<:raw', $name or die "$name: $!";
    my $text = do { local $/; <$file> };
    $text =~ s/\r\n/\n/g;
    my $bounce = Mail::DeliveryStatus::BounceParser->new($text);
    my @reports = map +{ email => $_->get('email'), status => $_->get('Status') },
        $bounce->is_bounce ? $bounce->reports : ();
    print encode_json({
        is_bounce => $bounce->is_bounce ? JSON::PP::true : JSON::PP::false,
        original => ($bounce->orig_message_id // ''),
        reports => \@reports,
    }), "\n";
}
