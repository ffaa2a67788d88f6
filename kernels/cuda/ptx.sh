#!/bin/sh
# Compiles one source to ptx/SOURCE.TARGET.ptx, headed by a line that names sources, compiler and flags and ends in their hash: the SHA-256
# of that line up to the hash, the source and every header. Usage: ptx.sh CLANG VERSION SOURCE TARGET FLAGS
set -eu
export LC_ALL=C
cd "$(dirname "$0")"
clang=$1 version=$2 source=$3 target=$4 flags=$5
out=ptx/$source.$target.ptx
head="// $source.cu $(echo *.cuh) | clang $version | $flags | sha256 "
hash=$({ printf '%s' "$head"; cat "$source.cu" *.cuh; } | sha256sum | cut -d' ' -f1)
$clang $flags "$source.cu" -o "$out.tmp"
{ printf '%s%s\n' "$head" "$hash"; cat "$out.tmp"; } >"$out.new"
rm "$out.tmp"
mv "$out.new" "$out"
