package Peer::XmppJs;

# The client of HT-SHA-256-NONE in xmpp.js, a package of npm's registry. It runs in node and speaks lines of hexadecimal digits.

use strict;
use warnings;
use parent 'Peer::Child';
use File::Path qw(make_path);

my $VERSION = '0.14.0';
my $FOLDER  = 'target/npm';

# Node 18 has no global crypto. Requests: "response NAME TOKEN" prints the message, "final MESSAGE" prints "good" or "bad".
my $PROGRAM = <<'JS';
import { webcrypto } from "node:crypto";
import { createInterface } from "node:readline";
globalThis.crypto ??= webcrypto;
const { Mechanism } = await import(process.argv[2]);
const text = (hex) => Buffer.from(hex, "hex").toString("utf8");
let mechanism = new Mechanism();
for await (const line of createInterface({ input: process.stdin })) {
  const [what, ...rest] = line.split(" ");
  if (what === "response") {
    mechanism = new Mechanism();
    const message = await mechanism.response({ username: text(rest[0]), password: text(rest[1]) });
    // xmpp.js encodes each character of a message as one byte.
    console.log(Buffer.from(message, "latin1").toString("hex"));
  } else {
    const message = Buffer.from(rest[0], "hex").toString("latin1");
    console.log(await mechanism.final(message).then(() => "good", () => "bad"));
  }
}
JS

# Why it cannot be run here; undef if it can.
sub why_absent {
  return 'npm is not installed' if system 'command -v npm node >/dev/null';
  return undef if -e "$FOLDER/package/index.js";
  make_path($FOLDER);

  # npm writes to its cache in the home directory, which tests do not have.
  local $ENV{npm_config_cache} = "$FOLDER/cache";
  my $said = qx{cd $FOLDER && npm pack --silent \@xmpp/sasl-ht-sha-256-none\@$VERSION 2>&1};
  my ($file) = $said =~ /^(\S+\.tgz)$/m;
  return "npm's registry cannot be reached" if $?;
  system('tar', '-xzf', "$FOLDER/$file", '-C', $FOLDER) == 0 or die "tar: $?";
  return undef;
}

sub new {
  my ($class) = @_;
  open my $program, '>', "$FOLDER/peer.mjs" or die "$FOLDER/peer.mjs: $!";
  print $program $PROGRAM;
  close $program or die "$FOLDER/peer.mjs: $!";
  open my $errors, '>&', \*STDERR or die "dup: $!";
  my $self = bless {}, $class;
  return $self->run(command => ['node', "$FOLDER/peer.mjs", './package/index.js'], errors => $errors);
}

sub mechanism { return 'HT-SHA-256-NONE' }

sub response { my ($self, $name, $token) = @_; return pack 'H*', $self->ask('response', $name, $token) }
sub is_content { my ($self, $message) = @_; return $self->ask('final', $message) eq 'good' }

sub ask {
  my ($self, $what, @bytes) = @_;
  print { $self->{to} } join(' ', $what, map { unpack 'H*', $_ } @bytes), "\n";
  defined(my $line = readline $self->{from}) or die "node has ended\n";
  chomp $line;
  return $line;
}

1;
