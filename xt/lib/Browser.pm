package Browser;

# A headless Chromium, driven over the pipe of its DevTools protocol: messages are JSON, with a zero byte at the end of each. It looks up
# no name, so a page that needs something from elsewhere shows it.

use strict;
use warnings;
use Cwd ();
use File::Temp qw(tempdir);
use JSON::PP ();
use POSIX ();

my @NAMES = qw(chromium-headless-shell chromium chromium-browser);

# The path of a browser, or undef.
sub program {
  my ($found) = grep { -x } map { my $name = $_; map { "$_/$name" } split /:/, $ENV{PATH} } @NAMES;
  return $found;
}

sub start {
  my ($class) = @_;
  my $self = bless { home => tempdir(CLEANUP => 1), id => 0, events => [], input => '', errors => '' }, $class;
  pipe my $their_in, my $to or die "pipe: $!";
  pipe my $from, my $their_out or die "pipe: $!";
  defined(my $pid = fork) or die "fork: $!";
  if (!$pid) {
    # Its helpers are in its group.
    POSIX::setsid();
    # The browser reads descriptor 3 and writes 4. The ends of the pipes may have these numbers themselves.
    my @high = map { POSIX::fcntl($_, POSIX::F_DUPFD(), 20) } $their_in, $their_out;
    POSIX::dup2($high[$_], 3 + $_) for 0, 1;
    open STDERR, '>', "$self->{home}/log" or POSIX::_exit(1);
    $ENV{HOME} = $self->{home};
    exec program(), '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--hide-scrollbars', '--remote-debugging-pipe',
      '--host-resolver-rules=MAP * ~NOTFOUND', "--user-data-dir=$self->{home}/profile", 'about:blank'
      or POSIX::_exit(1);
  }
  @{$self}{qw(pid to from)} = ($pid, $to, $from);
  binmode $_ for $to, $from;
  $to->autoflush(1);
  my ($page) = grep { $_->{type} eq 'page' } @{ $self->call('Target.getTargets')->{targetInfos} };
  $self->{session} = $self->call('Target.attachToTarget', { targetId => $page->{targetId}, flatten => JSON::PP::true() })->{sessionId};
  $self->call("$_.enable") for qw(Page Runtime Log Network);
  return $self;
}

# Calls a method and returns its result. What else arrives is kept as events.
sub call {
  my ($self, $method, $parameters) = @_;
  my $id = ++$self->{id};
  my %message = (id => $id, method => $method, params => $parameters || {});
  $message{sessionId} = $self->{session} if $self->{session};
  local $SIG{PIPE} = 'IGNORE';
  print { $self->{to} } JSON::PP::encode_json(\%message), "\0" or die "the browser has ended: $!";
  while (1) {
    my $answer = $self->receive;
    if (!defined $answer->{id}) { push @{ $self->{events} }, $answer; next }
    next if $answer->{id} != $id;
    die "$method: $answer->{error}{message}" if $answer->{error};
    return $answer->{result};
  }
}

sub receive {
  my ($self) = @_;
  my $end;
  while (($end = index $self->{input}, "\0") < 0) {
    my $ready = '';
    vec($ready, fileno $self->{from}, 1) = 1;
    select $ready, undef, undef, 30 or die 'the browser says nothing';
    sysread $self->{from}, $self->{input}, 1 << 20, length $self->{input} or die 'the browser has ended';
  }
  my $message = substr $self->{input}, 0, $end + 1, '';
  chop $message;
  return JSON::PP::decode_json($message);
}

# Opens a page, and returns when it is complete.
sub open_page {
  my ($self, $file) = @_;
  $self->{events} = [];
  my $answer = $self->call('Page.navigate', { url => 'file://' . Cwd::abs_path($file) });
  die "$file: $answer->{errorText}" if $answer->{errorText};
  push @{ $self->{events} }, $self->receive until grep { $_->{method} eq 'Page.loadEventFired' } @{ $self->{events} };
  return;
}

# Sets the size of the window, and the scheme, light or dark.
sub window {
  my ($self, $width, $height, $scheme) = @_;
  $self->call('Emulation.setDeviceMetricsOverride', {
    width => 0 + $width, height => 0 + $height, deviceScaleFactor => 1, mobile => $width < 600 ? JSON::PP::true() : JSON::PP::false(),
  });
  $self->call('Emulation.setEmulatedMedia', { features => [{ name => 'prefers-color-scheme', value => $scheme }] });
  return;
}

# The value of a JavaScript expression.
sub value {
  my ($self, $expression) = @_;
  my $answer = $self->call('Runtime.evaluate', { expression => $expression, returnByValue => JSON::PP::true() });
  die "JavaScript: $answer->{exceptionDetails}{exception}{description}" if $answer->{exceptionDetails};
  return $answer->{result}{value};
}

# What the page has complained about, and what it has loaded from elsewhere, since it was opened.
sub complaints {
  my ($self) = @_;
  my @found;
  for my $event (@{ $self->{events} }) {
    my ($method, $about) = @{$event}{qw(method params)};
    push @found, $about->{entry}{text} if $method eq 'Log.entryAdded';
    push @found, 'console: ' . join ' ', map { $_->{value} // $_->{description} // '' } @{ $about->{args} } if $method eq 'Runtime.consoleAPICalled';
    push @found, $about->{exceptionDetails}{text} if $method eq 'Runtime.exceptionThrown';
    push @found, "not loaded: $about->{errorText}" if $method eq 'Network.loadingFailed';
    push @found, "from elsewhere: $about->{request}{url}" if $method eq 'Network.requestWillBeSent' && $about->{request}{url} !~ /\A(?:file|data):/;
  }
  return @found;
}

sub picture {
  my ($self) = @_;
  return $self->call('Page.captureScreenshot', { format => 'png' })->{data};
}

sub DESTROY {
  my ($self) = @_;
  local ($?, $!, $@);
  return if !$self->{pid};
  delete $self->{session};
  eval { $self->call('Browser.close') };
  kill KILL => -$self->{pid};
  waitpid $self->{pid}, 0;
  return;
}

1;
