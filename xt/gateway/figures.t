# The figures of sasl-gate for operators: what Prometheus' own parser reads of the metrics, the fields of the log, and priorities for
# the journal.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use Authen::SASL qw(Rust);
use JSON::PP ();
use Server::Beanstalkd ();
use Server::JobTalk qw(connect_to login logs_in say_raw all_heard);
use Server::SaslGate ();
use Server::Trial qw(trial);
use Slurp qw(slurp);

my $beanstalkd = Server::Beanstalkd->start;
my $gate = Server::SaslGate->start(
  backend => "127.0.0.1:$beanstalkd->{port}", tls => 1, users => { fred => ['pencil'], anna => ['bell'] },
  lines => "plaintext = true\nlog = 'json'\nverbose = true\n",
  tables => "[backends]\n\"back\\\\slash \\\"quoted\\\"\" = '127.0.0.1:$beanstalkd->{port}'\n"
    . "[[access]]\nusers = ['fred']\n[[access]]\nusers = ['anna']\nbackend = \"back\\\\slash \\\"quoted\\\"\"\n",
);
my $place = "127.0.0.1:$gate->{port}";
ok logs_in($place, mechanism => $_, user => 'fred', pass => 'pencil'), "$_: a login" for qw(SCRAM-SHA-256 PLAIN PLAIN);
ok logs_in($place, mechanism => 'PLAIN', user => 'anna', pass => 'bell'), 'a login to another backend';
ok !logs_in($place, user => 'fred', pass => 'crayon'), 'a failure';

# The samples of a text as prometheus_client reads them: name, labels and value, with the name and type of their metric.
sub parsed {
  my ($text) = @_;
  my $file = $gate->write_file('metrics', $text);
  my $program = <<'PYTHON';
import json, sys
from prometheus_client.parser import text_string_to_metric_families
print(json.dumps([[family.name, family.type, family.documentation, sample.name, sample.labels, sample.value]
    for family in text_string_to_metric_families(open(sys.argv[1]).read()) for sample in family.samples]))
PYTHON
  return @{ JSON::PP::decode_json($gate->run('/usr/bin/python3', '-c', $program, $file)) };
}

trial 'the metrics' => sub {
  my ($head, $text) = split /\r\n\r\n/, $gate->http('/metrics'), 2;
  like $head, qr{^Content-Type: text/plain; version=0\.0\.4\r?$}m, 'the type of the text format';
  my (%series, %value, %type, $last);
  for my $line (split /\n/, $text) {
    if (my ($kind, $name) = $line =~ /\A# (HELP|TYPE) (sasl_gate_[a-z_]+) \S/) {
      is $last, $name, "$name has its help before its type" if $kind eq 'TYPE';
      ok !$type{$name}++, "$name is described once" if $kind eq 'TYPE';
      $last = $name;
      next;
    }
    my ($name, $labels) = $line =~ /\A([a-z_]+)(\{.*\})? (?:\d+(?:\.\d+)?|\d\.\d+e-?\d+)\z/ or fail "malformed: $line";
    is index($name, $last), 0, "$name follows its description" if $name ne $last;
    ok !$series{ $name . ($labels || '') }++, "$line occurs once" if $labels;
  }
  for my $sample (parsed($text)) {
    my ($family, $type, $help, $name, $labels, $value) = @$sample;
    $value{ join ' ', $name, map { "$_=$labels->{$_}" } sort keys %$labels } = $value;
    my $ends = $type eq 'counter' ? qr/_total\z/ : $type eq 'histogram' ? qr/_seconds_(?:bucket|sum|count)\z/ : qr/(?<!_total)\z/;
    like $name, qr/\Asasl_gate_[a-z_]+\z/, $name;
    like $name, $ends, "$name is named as a $type";
    isnt $help, '', "$name is explained";
  }
  my %expected = (
    'backend=default mechanism=PLAIN' => 2, 'backend=default mechanism=SCRAM-SHA-256' => 1, 'backend=back\\slash "quoted" mechanism=PLAIN' => 1,
  );
  my %logins = map { /\Asasl_gate_logins_total (.*)/ ? ($1 => $value{$_}) : () } keys %value;
  is_deeply \%logins, \%expected, 'logins by backend and mechanism';
  my ($version) = slurp('gateway/Cargo.toml') =~ /^version = "(.*)"/m;
  is $value{"sasl_gate_build_info version=$version"}, 1, 'the version';
  my $certificate = $gate->dir . '/cert.pem';
  my $expires = $value{"sasl_gate_certificate_expiry_timestamp_seconds file=$certificate"};
  cmp_ok abs($expires - time - 2 * 86_400), '<', 3600, 'when the certificate expires';
  my @buckets = map { $value{$_} } sort { ($a =~ /le=(.*)/)[0] <=> ($b =~ /le=(.*)/)[0] } grep { /store_seconds_bucket/ && !/Inf/ } keys %value;
  cmp_ok scalar @buckets, '>', 5, 'a histogram of look-ups';
  is $value{'sasl_gate_store_seconds_bucket le=+Inf'}, $value{'sasl_gate_store_seconds_count'}, '... which is complete';
};

# Fields that the manual describes, and those that the calls of the logging macros name.
my ($log) = slurp('docs/sasl-gate.pod') =~ /^=head1 LOG\n(.*?)^=head1/ms;
my %described = map { $_ => 1 } map { /C<(\w+)>/g } $log =~ /^=item (.*)/mg;

trial 'the fields of the log' => sub {
  my %named;
  for my $file (glob 'gateway/src/*.rs gateway/src/*/*.rs') {
    my $code = slurp($file) =~ s/^#\[cfg\(test\)\]\nmod tests \{.*//msr =~ s{^\s*//.*$}{}mgr;
    while ($code =~ /\b(?:debug|info|warn|error)!\(\s*((?:(?!\);)[^"])*)"/g) {
      my $arguments = $1;
      1 while $arguments =~ s/\([^()]*\)//g;
      push @{ $named{$_} }, $file for grep { defined } map { /\A\s*[?%]?(\w+)\s*(?:=|\z)/ } split /,/, $arguments;
    }
  }
  cmp_ok scalar keys %named, '>', 15, 'there are fields';
  ok $described{$_}, "the manual describes $_" or diag "@{ $named{$_} }" for sort keys %named;
  ok $named{$_}, "$_ exists" for sort keys %described;
};

trial 'a log for programs' => sub {
  $gate->signal('HUP');
  ok $gate->metric_becomes(reloads_total => 1), 'reloaded';
  say_raw(my $socket = connect_to($place), "GET / HTTP/1.1\r\n\r\n");
  all_heard($socket);
  ok $gate->logs('a command before authentication'), 'a line of each level';
  my (%fields, %messages);
  for my $line (split /\n/, $gate->log_text) {
    my $object = JSON::PP->new->utf8->decode($line);
    is join(' ', sort keys %$object), 'fields level target timestamp', 'an object' or diag $line;
    like $object->{level}, qr/\A(?:ERROR|WARN|INFO|DEBUG)\z/, 'its level';
    $messages{ delete $object->{fields}{message} } = 1;
    $fields{$_} = 1 for keys %{ $object->{fields} };
  }
  ok $messages{$_}, "the message '$_'" for 'authenticated', 'ended', 'not authenticated', 'reloaded', 'ready';
  ok $described{$_}, "the manual describes $_" for sort keys %fields;
};

trial 'priorities for the journal' => sub {
  my $own = 'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2); export JOURNAL_STREAM';
  for my $case ([$own, qr/\A<([3467])>\S+ +(\S+) /], ['export JOURNAL_STREAM=1:2', qr/\A()\S+ +(\S+) /]) {
    my ($shell, $form) = @$case;
    my $other = Server::SaslGate->start(backend => "127.0.0.1:$beanstalkd->{port}", shell => $shell, lines => "verbose = true\n");
    logs_in("127.0.0.1:$other->{port}", user => 'fred', pass => $_) for 'pencil', 'crayon';
    ok $other->logs('not authenticated'), 'there is a log';
    my %priority;
    for my $line (split /\n/, $other->log_text) {
      $line =~ $form ? $priority{"$2$1"}++ : fail("the line '$line'");
    }
    my $expected = $shell eq $own ? 'INFO6 WARN4' : 'INFO WARN';
    is join(' ', grep { !/DEBUG/ } sort keys %priority), $expected, $expected;
  }
};

done_testing;
