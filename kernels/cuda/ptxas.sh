#!/bin/sh
# Assembles the committed PTX for every GPU generation it is meant for and prints what each kernel takes there: registers, static shared
# memory, and how many blocks of how many threads a multiprocessor holds by its 65,536 registers. A spill is an error.
# Usage: ptxas.sh PTXAS
set -eu
cd "$(dirname "$0")"
ptxas=$1
out=$(mktemp -d)
trap 'rm -r "$out"' EXIT
for target in "sm70 sm_70 sm_75 sm_80 sm_86 sm_89 sm_90" "sm80 sm_80 sm_86 sm_89 sm_90"; do
  set -- $target
  suffix=$1
  shift
  for arch in "$@"; do
    if ! "$ptxas" --list-gpu-code 2>/dev/null | grep -qw "$arch" && ! "$ptxas" --help | grep -qw "$arch"; then
      echo "$arch: this ptxas does not know it, left out"
      continue
    fi
    for file in ptx/*."$suffix".ptx; do
      "$ptxas" -v -arch="$arch" "$file" -o "$out/cubin" 2>&1 | awk -v arch="$arch" -v file="$file" '
        BEGIN {
          while ((getline line < file) > 0) {
            if (split(line, word, /[ (]+/) > 2 && word[2] == ".entry") name = word[3]
            if (line ~ /^\.maxntid/) { sub(/,.*/, "", line); sub(/\.maxntid /, "", line); threads[name] = line }
          }
        }
        /Compiling entry function/ { split($0, part, "\047"); name = part[2] }
        /bytes spill stores/ { split($0, part, /,? +/); spill = $0; sub(/.*frame, /, "", spill) }
        /Used [0-9]+ registers/ {
          registers = $0; sub(/.*Used /, "", registers); sub(/ registers.*/, "", registers)
          shared = 0
          if ($0 ~ /bytes smem/) { shared = $0; sub(/ bytes smem.*/, "", shared); sub(/.* /, "", shared) }
          per_warp = int((registers * 32 + 255) / 256) * 256
          blocks = int(65536 / (per_warp * threads[name] / 32))
          printf "%-6s %-40s %3d registers %6d bytes shared %2d blocks of %d threads by registers\n", arch, name, registers, shared, blocks, threads[name]
          if (spill !~ /^0 bytes spill stores, 0 bytes spill loads/) { print "SPILL: " name " on " arch ": " spill; bad = 1 }
        }
        END { exit bad }'
    done
  done
done
