package host

// assemblyPeak is the number of multiply-adds of vectors in one turn of peakAVX2 and peakAVX512.
const assemblyPeak = 24

//go:noescape
func peakAVX512(n int)

//go:noescape
func peakAVX2(n int)
