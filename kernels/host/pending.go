package host

import "emdiff/kernels"

// pending stands in for ops that are still being written.
type pending struct{ kernels.Set }
