package host

func peakAVX512(n int)
func peakAVX2(n int)
