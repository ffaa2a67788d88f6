package diffusion

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestLinearVPHasTheLevelsOfDDPM(t *testing.T) {
	v := LinearVP(1000, 1e-4, 0.02)
	assert.InDelta(t, 0.0100005, v.Sigma[0], 1e-6)
	assert.InDelta(t, 157.407, v.Sigma[999], 1e-2)
	assert.InDelta(t, 0.1988, v.Sigma[57], 1e-4)
	assert.InDelta(t, 0.2020, v.Sigma[58], 1e-4)
}

func TestTimeInvertsSigma(t *testing.T) {
	for _, v := range []VP{LinearVP(1000, 1e-4, 0.02), CosineVP(1000)} {
		for i, s := range v.Sigma {
			assert.InDelta(t, float64(i), v.Time(s), 1e-6)
		}
		mid := math.Sqrt(v.Sigma[57] * v.Sigma[58])
		assert.InDelta(t, 57.5, v.Time(mid), 1e-9)
		assert.Equal(t, 0.0, v.Time(v.Sigma[0]/2))
		assert.Equal(t, 999.0, v.Time(v.Sigma[999]*2))
	}
}

func TestCosineVPNeverDestroysEverythingInOneStep(t *testing.T) {
	v := CosineVP(100)
	prev := 1.0
	for _, a := range v.AlphaBar {
		assert.GreaterOrEqual(t, a/prev, 0.001-1e-12)
		prev = a
	}
}

func TestEDMGridFollowsThePaper(t *testing.T) {
	g := EDMGrid(18, 0.002, 80)
	assert.Len(t, g, 19)
	assert.InDelta(t, 80, g[0], 1e-9)
	assert.InDelta(t, 0.002, g[17], 1e-12)
	assert.Equal(t, 0.0, g[18])
	want := math.Pow(math.Pow(80, 1.0/7)+5.0/17*(math.Pow(0.002, 1.0/7)-math.Pow(80, 1.0/7)), 7)
	assert.InDelta(t, want, g[5], 1e-9)
}

// D must not amplify what the network cannot see: at the preconditioned input and target the variances are 1 for data
// of the assumed variance (Karras et al. 2022, appendix B.6).
func TestEDMPreconditioningHasUnitVariances(t *testing.T) {
	p := DefaultEDM()
	for _, sigma := range []float64{0.002, 0.1, 1, 80} {
		c := p.At(sigma)
		v := sigma*sigma + p.SigmaData*p.SigmaData
		assert.InDelta(t, 1, c.In*c.In*v, 1e-12)
		target := math.Pow((1-c.Skip)*p.SigmaData, 2) + math.Pow(c.Skip*sigma, 2)
		assert.InDelta(t, 1, target/(c.Out*c.Out), 1e-9)
		weightOnD := (sigma*sigma + p.SigmaData*p.SigmaData) / math.Pow(sigma*p.SigmaData, 2)
		assert.InDelta(t, c.Weight, weightOnD*c.Out*c.Out, 1e-9)
	}
}

func TestEpsilonPreconditioningSeesTheVPImage(t *testing.T) {
	p := Epsilon{LinearVP(1000, 1e-4, 0.02)}
	for _, step := range []int{0, 57, 999} {
		c := p.At(p.VP.Sigma[step])
		assert.InDelta(t, math.Sqrt(p.VP.AlphaBar[step]), c.In, 1e-12)
		assert.InDelta(t, float64(step), c.Noise, 1e-6)
		// D = x - sigma e recovers x0 from x0 + sigma e
		assert.InDelta(t, 0, c.Skip*p.VP.Sigma[step]+c.Out, 1e-12)
	}
}

func TestTrainingLevelsFollowTheirLaw(t *testing.T) {
	p := DefaultEDM()
	assert.InDelta(t, math.Exp(-1.2), p.SampleSigma(0.5), 1e-12)
	assert.InDelta(t, math.Exp(-1.2+1.2), p.SampleSigma(0.8413447460685429), 1e-9)
	assert.Equal(t, p.Low, p.SampleSigma(1e-30))
	e := Epsilon{LinearVP(10, 1e-4, 0.02)}
	assert.Equal(t, e.VP.Sigma[9], e.SampleSigma(0.999999))
	assert.Equal(t, e.VP.Sigma[3], e.SampleSigma(0.35))
}
