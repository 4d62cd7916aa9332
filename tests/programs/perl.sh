#!/bin/bash
set -eu
perl -e '
use strict; use warnings; use POSIX ":sys_wait_h"; use Socket; use IO::Handle;
my @kids; pipe(my $r, my $w) or die;
for my $i (1..10) { my $p = fork // die; if (!$p) { close $r; syswrite $w, "$i\n"; exit $i; } push @kids, $p; }
close $w; my $sum = 0; $sum += $_ while <$r>; die "sum $sum" unless $sum == 55;
my $st = 0; for (@kids) { waitpid($_, 0); $st += $? >> 8; } die "status $st" unless $st == 55;
my $got = 0; local $SIG{ALRM} = sub { $got++ }; alarm 1; select undef, undef, undef, 3; die "alarm" unless $got == 1;
$SIG{USR1} = sub { $got += 10 }; kill "USR1", $$; die "usr1 $got" unless $got == 11;
socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!; $a->autoflush(1); print $a "hello\n"; die unless <$b> eq "hello\n";
open(my $f, "+>", "x") or die; print $f "line $_\n" for 1..5000; seek $f, 0, 0; my $n = 0; $n++ while <$f>; die "n $n" unless $n == 5000;
flock($f, 2) or die; rename "x", "y" or die; die unless -s "y"; unlink "y"; die if -e "y";
my $o = `echo out; exit 3`; die unless $o eq "out\n" && $? >> 8 == 3;
opendir(my $d, "/proc/self/fd") or die; my @e = readdir $d; die unless @e > 3;
local $ENV{FOO} = "bar"; die unless `printenv FOO` eq "bar\n";
print "";
'
