# Runs the commands of docs/operating.md in their order, in a network namespace and a folder of its own in place of /etc/sasl-gate.

use strict;
use warnings;
use lib 't/lib';
use Isolated;
use Test::More;
use File::Temp qw(tempdir);
use Server::SaslGate ();
use Slurp qw(slurp);

plan skip_all => 'only root can change owners and make namespaces' if $>;

my $folder = tempdir(CLEANUP => 1);
my $guide = slurp('docs/operating.md');
my ($toml) = $guide =~ /^```toml\n(.*?)^```/ms or BAIL_OUT('there is no configuration');
my @blocks = $guide =~ /^```sh\n(.*?)^```/gms;
is scalar @blocks, 7, 'blocks of commands';

# No systemd runs here, there is no account sasl-gate, and nobody types.
my $folder_of_gate = Server::SaslGate::binary() =~ s{/[^/]+\z}{}r;
my $script = "$folder/script";
my $text = join "\necho \"=== block\"\n", <<"SHELL", @blocks;
set -eu
export PATH="$folder_of_gate:\$PATH"
: >"$folder/pids"
ip link set lo up
beanstalkd -l 127.0.0.1 -p 11300 &
chown() { [ "\$1" = root:sasl-gate ] && command chown root:root "\${\@:2}"; }
sasl-gate() {
  case "\$1" in
    passwd) printf 'pencil\\n' | command sasl-gate "\$@" ;;
    sessions) command sasl-gate "\$@" --control /run/sasl-gate/control ;;
    *) command sasl-gate "\$@" ;;
  esac
}
healthy() { for _ in {1..100}; do curl --silent --fail http://127.0.0.1:9123/healthz >/dev/null && return; sleep 0.05; done; return 1; }
reloads() { curl --silent http://127.0.0.1:9123/metrics | sed -n 's/^sasl_gate_reloads_total //p'; }
systemctl() {
  local before
  case "\$*" in
    'enable --now sasl-gate')
      command sasl-gate --config /etc/sasl-gate/sasl-gate.toml 2>>"$folder/log" & echo \$! >>"$folder/pids"; healthy ;;
    'reload sasl-gate')
      before=\$(reloads)
      kill -HUP "\$(head -1 "$folder/pids")"
      until [ "\$(reloads)" != "\$before" ]; do sleep 0.05; done ;;
    'kill --kill-whom=main --signal=USR2 sasl-gate')
      kill -USR2 "\$(head -1 "$folder/pids")"
      until grep -o 'new process pid=[0-9]*' "$folder/log" | sed 's/.*=//' | grep . >>"$folder/pids"; do sleep 0.05; done
      healthy ;;
    *) return 1 ;;
  esac
}
SHELL
# What the blocks have done is asked after them: the worker that is disabled no longer gets in, the other one does.
$text .= <<'SHELL';
echo "=== after"
ask() { printf 'list-tubes\r\nquit\r\n' | socat - "TCP:127.0.0.1:$1" | grep -c default || true; }
echo "disabled: $(ask 11400)"
command sasl-gate connect --listen 127.0.0.1:11401 --backend tls:queue.example.org:11302 --backend-ca cert.pem --user worker-2 --password-file password 2>/dev/null &
until : 2>/dev/null <>/dev/tcp/127.0.0.1/11401; do sleep 0.05; done
echo "added: $(ask 11401)"
SHELL
for my $part ($text, $toml) {
  $part =~ s{/etc/sasl-gate(?!\w)}{$folder/etc}g;
  $part =~ s{/run/sasl-gate(?!\w)}{$folder/run}g;
  $part =~ s{queue\.example\.org}{localhost}g;
}
mkdir "$folder/$_" or die $! for qw(etc run);
for (["$folder/etc/sasl-gate.toml", $toml], [$script, $text]) {
  my ($file, $content) = @$_;
  open my $out, '>', $file or die "$file: $!";
  print $out $content;
  close $out or die "$file: $!";
}

# The programs end with their namespace.
my $said = qx{timeout 60 unshare --net --pid --fork --kill-child --mount-proc bash $script 2>$folder/errors </dev/null};
is $?, 0, 'all commands succeed' or diag $said, slurp("$folder/errors"), -e "$folder/log" ? slurp("$folder/log") : ();
my (undef, @outputs) = split /^=== .*\n/m, $said;
like $outputs[2], qr/default/, 'the worker reaches the backend';
like $outputs[3], qr/^sasl_gate_logins_total\{backend="default",mechanism="SCRAM-SHA-256(?:-PLUS)?"\} 1$/m, 'the metrics have its login';
my %metric = map { $_ => 1 } $outputs[3] =~ /^sasl_gate_(\w+)/mg;
ok $metric{$_}, "the metric $_ exists" for $guide =~ /^\| `(\w+)` \|/mg;
like $outputs[-1], qr/^disabled: 0$/m, 'the disabled worker no longer does';
like $outputs[-1], qr/^added: 1$/m, 'the one that was added does';

done_testing;
