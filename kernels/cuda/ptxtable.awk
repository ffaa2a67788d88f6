# Makes a Markdown table of what ptxas.sh prints, a row per family of kernels: what they take on any architecture by any of the ptxas whose
# outputs are read. Warps are the fewest that a multiprocessor holds by its registers and by the static shared memory, of as many as it can.
/ registers / && / by registers/ {
  arch = substr($1, 4)
  split($2, part, "_")
  family = part[1] ~ /^(attention|conv2d|matmul|groupnorm|blur)$/ ? part[1] "_" part[2] : "all others"
  family = family (part[4] ~ /tensor/ ? " (tensor)" : "")
  key = (part[4] ~ /tensor/ ? "b" : "a") family
  if (!(key in kernels)) { order[++count] = key; low[key] = 999; warps[key] = 999 }
  if (!((key, $2) in seen)) { seen[key, $2] = 1; kernels[key]++ }
  if ($3 < low[key]) low[key] = $3
  if ($3 > high[key]) { high[key] = $3; widest[key] = part[3] "_" part[4] }
  if ($5 > shared[key]) shared[key] = $5
  most = arch == 75 ? 32 : (arch == 86 || arch == 89) ? 48 : 64
  room = arch == 70 ? 96 : arch == 75 ? 64 : arch == 80 ? 164 : arch == 90 ? 228 : 100
  blocks = $8
  if ($5 > 0 && int(room * 1024 / ($5 + 1024)) < blocks) blocks = int(room * 1024 / ($5 + 1024))
  w = blocks * $11 / 32
  if (w > most) w = most
  if (w < warps[key]) warps[key] = w
  archs[arch] = 1
}
/^SPILL/ { spills++ }
END {
  for (i = 2; i <= count; i++) for (j = i; j > 1 && order[j] < order[j - 1]; j--) { t = order[j]; order[j] = order[j - 1]; order[j - 1] = t }
  print "| family | kernels | registers | most in | static shared, bytes | warps |"
  print "|---|---|---|---|---|---|"
  for (i = 1; i <= count; i++) {
    k = order[i]
    printf "| %s | %d | %s | %s | %d | %d |\n", substr(k, 2), kernels[k], low[k] == high[k] ? low[k] : low[k] "-" high[k], widest[k], shared[k], warps[k]
  }
  printf "\n%d spills.\n", spills
}
