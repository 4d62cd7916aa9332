#!/bin/bash
# tmux with a shell and vim in its panes: text typed into vim reaches the file, the screen can be read back.
set -eu
command -v tmux >/dev/null || { echo "skipped: tmux is not installed"; exit 77; }
vim=$(command -v vim || command -v vi) || { echo "skipped: vim is not installed"; exit 77; }
export TERM=screen LC_ALL=C.UTF-8
t() { tmux -S "$PWD/s" -f /dev/null "$@"; }
until_true() { for _ in $(seq 600); do "$@" && return; sleep 0.1; done; echo "gave up on: $*"; t capture-pane -p || true; exit 1; }
shows() { t capture-pane -p | grep -q -- "$1"; }
trap 't kill-server 2>/dev/null || true' EXIT
t new-session -d -x 80 -y 24 "PS1='ready> ' bash --norc --noprofile -i"
until_true shows 'ready>'
t send-keys 'echo $((6*7)) "$(stty size)"' Enter
until_true shows '42 23 80\|42 24 80'
t send-keys "$vim -u NONE -N -n file" Enter
until_true shows '^~'
t send-keys i 'first line' Enter 'second line' Escape
until_true shows '^second line'
t send-keys ':1s/first/1st/' Enter ':wq' Enter
until_true grep -q '^second line' file
[ "$(cat file)" = "$(printf '1st line\nsecond line')" ]
t split-window -h 'sleep 100'
until_true [ "$(t list-panes | wc -l)" = 2 ]
t resize-window -x 120 -y 40
t select-pane -t 0
t send-keys 'clear; stty size; exit' Enter
until_true [ "$(t list-panes | wc -l)" -le 2 ]
t kill-server
