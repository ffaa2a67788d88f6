package host

// assemblyPeak is the number of multiply-adds of vectors in one turn of peakNEON.
const assemblyPeak = 24

//go:noescape
func peakNEON(n int)
