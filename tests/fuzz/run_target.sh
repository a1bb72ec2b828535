#!/bin/sh
# run_target.sh TARGET CORPUS RUNS: runs a fuzz target for a bounded number of inputs. What it finds
# on the way goes to a directory that is thrown away; libFuzzer prints a failing input.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/found"
corpus=$2
[ -d "$corpus" ] || corpus=
# libFuzzer's own exit code, 77, means "skipped" to Meson.
"$1" -runs="$3" -seed=1 -max_len=4096 -timeout=10 -error_exitcode=1 -print_final_stats=1 \
    -artifact_prefix="$work/" "$work/found" ${corpus:+"$corpus"}
