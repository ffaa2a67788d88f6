package host

import (
	"runtime/debug"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// guarded returns n ones that end where a page begins that nobody may touch.
func guarded(t *testing.T, n int) []float32 {
	page := syscall.Getpagesize()
	size := (4*n + page - 1) / page * page
	memory, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Munmap(memory)) })
	require.NoError(t, syscall.Mprotect(memory[size:], syscall.PROT_NONE))
	x := unsafe.Slice((*float32)(unsafe.Pointer(&memory[size-4*n])), n)
	for i := range x {
		x[i] = 1
	}
	return x
}

// The kernels are assembly over bare addresses: nothing else would notice a vector read past the last weight.
func TestMatrixKernelsStayWithinTheirOperands(t *testing.T) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	forLevels(t, func(t *testing.T, l level) {
		m := &l.matrix
		for _, depth := range []int{1, 2, 3, 4, 5, 8, 11} {
			for half := range 2 {
				width := m.cols >> half
				for v, kernel := range m.panel {
					const taps = 2
					rows := m.panelRows[v]
					a, w, bias, c := guarded(t, rows+taps*depth-1), guarded(t, taps*depth*width), guarded(t, width), guarded(t, rows*width)
					offsets, steps := make([]int64, rows), []int64{4 * int64(depth), 0}
					for r := range offsets {
						offsets[r] = 4 * int64(r)
					}
					kernel[half](&panelArgs{c: at(c, 0), cStride: 4 * width, a: at(a, 0), offsets: &offsets[0], steps: &steps[0], taps: taps,
						negDepth: -4 * depth, w: at(w, 0), bias: at(bias, 0)})
					for _, got := range c {
						require.Equal(t, float32(1+taps*depth), got, "panel %d, half %d, depth %d", v, half, depth)
					}
				}
				for v, kernel := range m.outer {
					rows := m.outerRows[v]
					a, b, c := guarded(t, rows+depth-1), guarded(t, depth*width), guarded(t, rows*width)
					offsets := make([]int64, depth)
					for p := range offsets {
						offsets[p] = 4 * int64(p)
					}
					args := &outerArgs{a: at(a, 0), offsets: &offsets[0], count: depth, b: at(b, 0)}
					for _, add := range []bool{true, false} {
						want := float32(depth)
						if add {
							want++ // the ones that c holds at first
						}
						args.into(at(c, 0), 4*width, add)
						kernel[half](args)
						for _, got := range c {
							require.Equal(t, want, got, "outer %d, half %d, count %d, add %t", v, half, depth, add)
						}
					}
				}
			}
		}
		for cols := 1; cols <= m.cols; cols++ {
			y, sums, add, res := guarded(t, 2*cols), guarded(t, 2*cols), guarded(t, cols), guarded(t, 2*cols)
			m.finish(&finishArgs{y: at(y, 0), yStride: 4 * cols, t: at(sums, 0), tStride: 4 * cols, add: at(add, 0), res: at(res, 0),
				rStride: 4 * cols, rows: 2, cols: cols})
			for _, got := range y {
				require.Equal(t, float32(3), got, "finish of %d columns", cols)
			}
		}
	})
}

// All sources are ones, so that the results are products of the row sums of the transforms.
func TestTransformsStayWithinTheirOperands(t *testing.T) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	forLevels(t, func(t *testing.T, l level) {
		m := &l.matrix
		for _, n := range []int{16, 32, 48} {
			// Two tiles side by side in 4x6 pixels.
			image, v, offsets := guarded(t, 24*n), guarded(t, 32*n), []int64{0, 4 * int64(2*n)}
			m.winograd.input(&winogradInputArgs{src: at(image, 0), row: 4 * 6 * n, pix: 4 * n, offsets: &offsets[0], tiles: 2,
				dst: at(v, 0), tilePitch: 4 * 16 * n, xiPitch: 4 * n, n: 4 * n})
			for i, got := range v {
				side := [4]float32{0, 2, 0, 0}
				require.Equal(t, side[i/n%16/4]*side[i/n%4], got, "input of %d channels at %d", n, i)
			}

			y, res, add, bias := guarded(t, 4*n), guarded(t, 4*n), guarded(t, n), guarded(t, n)
			tile := winogradTile{add: at(add, 0)}
			for i := range 4 {
				tile.y[i], tile.res[i] = at(y, i*n), at(res, i*n)
			}
			products := guarded(t, 16*n)
			args := &winogradOutputArgs{m: at(products, 0), tilePitch: 4 * 16 * n, xiPitch: 4 * n, tiles: &tile, count: 1, n: 4 * n, bias: at(bias, 0)}
			m.winograd.output(args)
			for i, got := range y {
				side := [2]float32{3, 1}
				require.Equal(t, side[i/n/2]*side[i/n%2]+3, got, "output of %d channels at %d", n, i)
				y[i] = 1
			}
			m.winograd.outputGrad(args)
			for i, got := range products {
				side := [4]float32{1, 2, 0, 1}
				require.Equal(t, side[i/n/4]*side[i/n%4], got, "gradient of the output of %d channels at %d", n, i)
			}

			g, u := guarded(t, 9*n), guarded(t, 16*n)
			weights := &winogradWeightArgs{g: at(g, 0), gPitch: 4 * n, u: at(u, 0), uPitch: 4 * n, n: 4 * n}
			m.winograd.weights(weights)
			for i, got := range u {
				side := [4]float32{1, 1.5, 0.5, 1}
				require.Equal(t, side[i/n/4]*side[i/n%4], got, "weights of %d channels at %d", n, i)
				u[i] = 1
			}
			m.winograd.weightsGrad(weights)
			for i, got := range g {
				side := [3]float32{2, 0, 2}
				require.Equal(t, side[i/n/3]*side[i/n%3], got, "gradient of the weights of %d channels at %d", n, i)
			}

			src, dst := guarded(t, 8*n), guarded(t, 8*n)
			for i := range src {
				src[i] = float32(i)
			}
			m.transpose8(at(dst, 0), at(src, 0), 4*8, 4*n, n/8)
			for i, got := range dst {
				require.Equal(t, src[i%8*n+i/8], got, "transposed strip of %d at %d", n, i)
			}
		}
	})
}

func TestRowKernelsStayWithinTheirOperands(t *testing.T) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	eachVectorLevel(t, func(t *testing.T, v vectorKernels) {
		for _, n := range []int{1, 2, 3, 4, 5, 7, 15, 16, 17, 31, 33, 67} {
			var x [6][]float32
			for i := range x {
				x[i] = guarded(t, n)
			}
			two, wide := guarded(t, 2*n), guarded(t, 2*n+1) // rows of n, the second of stride n+1
			v.silu(x[0], x[1])
			v.weigh(x[0], 1, 1)
			v.dscores(x[0], x[1], 1, 1)
			v.scale(x[0], x[1], 1)
			v.clamp(x[0], x[1], 0, 1)
			v.add(x[0], x[1], x[2])
			v.mul(x[0], x[1], x[2])
			v.addScaled(x[0], x[1], x[2], 1)
			v.combine(x[0], x[1], x[2], 1, 1)
			v.difference(x[0], x[1], x[2], 1)
			v.siluGrad(x[0], x[1], x[2])
			v.clampGrad(x[0], x[1], x[2], 0, 1)
			v.dropout(x[0], x[1], x[2], 0, 1)
			v.posterior(x[0], x[1], x[2], x[3], x[4], 1, 1)
			v.fir(x[0], two, []float32{1, 1}, n)
			v.sumRows(x[0], wide, 2, n+1)
			v.moments(x[0], x[1], x[2], wide, 2, n+1)
			v.norm(two, wide, 2, n, n+1, x[0], x[1], x[2], 0)
			v.normSiLU(two, wide, 2, n, n+1, x[0], x[1], x[2], 0)
			v.normSums(x[0], x[1], two, wide, 2, n, n+1, x[2], x[3], x[4])
			v.normSumsSiLU(x[0], x[1], two, wide, 2, n, n+1, x[2], x[3], x[4])
			v.normKeepSiLU(x[0], x[1], wide, two, wide, 2, n, n+1, x[2], x[3], x[4])
			v.normDx(wide, two, wide, 2, n, n+1, x[1], x[2], x[3], x[4], x[5], 0, 0)
			v.normDxSiLU(wide, two, wide, 2, n, n+1, x[1], x[2], x[3], x[4], x[5], 0, 0)
			v.adam(x[0], x[1], x[2], x[3], x[4], &adamCoefficients{})
			ones, more := guarded(t, n), guarded(t, n)
			assert.Equal(t, float32(1), v.maximum(ones))
			assert.Equal(t, float32(n), v.sum(ones))
			assert.Equal(t, float32(n), v.dot(ones, more))
			assert.Zero(t, v.distance(ones, more))
			assert.Equal(t, float64(n), v.squares(ones))
		}
		s := philoxState{}
		v.uniforms(guarded(t, philoxRun), &s)
		v.normals(guarded(t, philoxRun), &s)
		v.update(guarded(t, philoxRun), guarded(t, philoxRun), guarded(t, philoxRun), guarded(t, philoxRun), &updateCoefficients{}, &s)
		v.update(guarded(t, philoxRun), guarded(t, philoxRun), nil, nil, &updateCoefficients{}, &s)
		v.triple(guarded(t, 3*tripleRun), guarded(t, tripleRun))
	})
}
