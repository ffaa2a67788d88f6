package kernels

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Known-answer vectors of the Random123 distribution for philox4x32-10: counter, key -> output.
func TestPhiloxMatchesPublishedVectors(t *testing.T) {
	for _, v := range []struct {
		counter, want [4]uint32
		key           [2]uint32
	}{
		{[4]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}, [2]uint32{}},
		{[4]uint32{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}, [2]uint32{0xffffffff, 0xffffffff}},
		{[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}, [2]uint32{0xa4093822, 0x299f31d0}},
	} {
		r := Random{Seed: uint64(v.key[1])<<32 | uint64(v.key[0]), Step: v.counter[2], Stream: v.counter[3]}
		assert.Equal(t, v.want, Philox(r, v.counter[1], v.counter[0]))
	}
}

func TestNormalLogAndSinCosAreAccurate(t *testing.T) {
	for b := uint32(0); b < 1<<32-1<<12; b += 1 << 12 {
		u := UniformFromBits(b)
		if got, want := float64(NormalLog(u)), math.Log(float64(u)); math.Abs(got-want) > 3e-7*math.Abs(want) {
			t.Fatalf("ln(%g) = %g, want %g", u, got, want)
		}
		s, c := NormalSinCos(b)
		ws, wc := math.Sincos(2 * math.Pi * float64(b>>8) / (1 << 24))
		if math.Abs(float64(s)-ws) > 3e-7 || math.Abs(float64(c)-wc) > 3e-7 {
			t.Fatalf("sin, cos of turn %d/2^24 = %g, %g, want %g, %g", b>>8, s, c, ws, wc)
		}
	}
}

func TestUniformsStayInsideTheOpenInterval(t *testing.T) {
	assert.Equal(t, float32(0x1p-24), UniformFromBits(0))
	assert.Equal(t, float32(1-0x1p-24), UniformFromBits(math.MaxUint32))
}

// The moments of n draws have standard errors 1/sqrt(n), sqrt(2/n) and sqrt(96/n); five of them are allowed.
func TestNormalsHaveNormalMoments(t *testing.T) {
	const blocks = 1 << 18
	var m1, m2, m4 float64
	for b := range uint32(blocks) {
		for _, z := range NormalBlock(Random{Seed: 7, Stream: 3}, 11, b) {
			x := float64(z)
			m1 += x
			m2 += x * x
			m4 += x * x * x * x
		}
	}
	n := float64(4 * blocks)
	assert.InDelta(t, 0, m1/n, 5/math.Sqrt(n))
	assert.InDelta(t, 1, m2/n, 5*math.Sqrt(2/n))
	assert.InDelta(t, 3, m4/n, 5*math.Sqrt(96/n))
}

func TestNormalsKeepTheirGoldenHash(t *testing.T) {
	h := sha256.New()
	var word [4]byte
	for b := range uint32(4096) {
		for _, z := range NormalBlock(Random{Seed: 0x0123456789abcdef, Stream: 5, Step: 9}, 42, b) {
			binary.LittleEndian.PutUint32(word[:], math.Float32bits(z))
			h.Write(word[:])
		}
	}
	assert.Equal(t, "e2edc68acdeef30f5c1505af05d2c0eff3e24ca99f9919d6423c27e96cc9a439", hex.EncodeToString(h.Sum(nil)))
}
