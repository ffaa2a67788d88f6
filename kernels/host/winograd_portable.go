package host

import "unsafe"

var portableWinograd = winogradKernels{
	input: winogradInputPortable, output: winogradOutputPortable, outputGrad: winogradOutputGradPortable,
	weights: winogradWeightsPortable, weightsGrad: winogradWeightsGradPortable,
}

// rowsAt returns len(rows) rows of n bytes, pitch bytes apart.
func rowsAt(rows [][]float32, p unsafe.Pointer, pitch, n int) {
	for i := range rows {
		rows[i] = unsafe.Slice((*float32)(unsafe.Add(p, i*pitch)), n/4)
	}
}

func winogradInputPortable(args *winogradInputArgs) {
	var d, v [16][]float32
	for t, offset := range unsafe.Slice(args.offsets, args.tiles) {
		for r := range 4 {
			rowsAt(d[4*r:][:4], unsafe.Add(args.src, int(offset)+r*args.row), args.pix, args.n)
		}
		rowsAt(v[:], unsafe.Add(args.dst, t*args.tilePitch), args.xiPitch, args.n)
		for k := range args.n / 4 {
			var rows [16]float32 // B^T d
			for j := range 4 {
				d0, d1, d2, d3 := d[j][k], d[4+j][k], d[8+j][k], d[12+j][k]
				rows[j], rows[4+j], rows[8+j], rows[12+j] = d0-d2, d1+d2, d2-d1, d3-d1
			}
			for i := 0; i < 16; i += 4 {
				t0, t1, t2, t3 := rows[i], rows[i+1], rows[i+2], rows[i+3]
				v[i][k], v[i+1][k], v[i+2][k], v[i+3][k] = t0-t2, t1+t2, t2-t1, t3-t1
			}
		}
	}
}

func winogradOutputPortable(args *winogradOutputArgs) {
	var m [16][]float32
	var y, res [4][]float32
	for t, tile := range unsafe.Slice(args.tiles, args.count) {
		rowsAt(m[:], unsafe.Add(args.m, t*args.tilePitch), args.xiPitch, args.n)
		for i := range 4 {
			rowsAt(y[i:][:1], unsafe.Add(tile.y[i], args.col), 0, args.n)
			rowsAt(res[i:][:1], unsafe.Add(tile.res[i], args.col), 0, args.n)
		}
		var bias, add [1][]float32
		rowsAt(bias[:], unsafe.Add(args.bias, args.col), 0, args.n)
		rowsAt(add[:], unsafe.Add(tile.add, args.col), 0, args.n)
		for k := range args.n / 4 {
			var u [8]float32 // A^T M
			for j := range 4 {
				m1, m2 := m[4+j][k], m[8+j][k]
				u[j], u[4+j] = m1+m2+m[j][k], m1-m2+m[12+j][k]
			}
			b := bias[0][k] + add[0][k]
			for i := range 2 {
				u := u[4*i:][:4]
				y[2*i][k] = u[1] + u[2] + u[0] + b + res[2*i][k]
				y[2*i+1][k] = u[1] - u[2] + u[3] + b + res[2*i+1][k]
			}
		}
	}
}

func winogradOutputGradPortable(args *winogradOutputArgs) {
	var m [16][]float32
	var y [4][]float32
	for t, tile := range unsafe.Slice(args.tiles, args.count) {
		rowsAt(m[:], unsafe.Add(args.m, t*args.tilePitch), args.xiPitch, args.n)
		for i := range 4 {
			rowsAt(y[i:][:1], unsafe.Add(tile.y[i], args.col), 0, args.n)
		}
		for k := range args.n / 4 {
			y00, y01, y10, y11 := y[0][k], y[1][k], y[2][k], y[3][k]
			for i, p := range [4][2]float32{{y00, y01}, {y00 + y10, y01 + y11}, {y00 - y10, y01 - y11}, {y10, y11}} {
				m[4*i][k], m[4*i+1][k], m[4*i+2][k], m[4*i+3][k] = p[0], p[0]+p[1], p[0]-p[1], p[1]
			}
		}
	}
}

func winogradWeightsPortable(args *winogradWeightArgs) {
	var g [9][]float32
	var u [16][]float32
	rowsAt(g[:], args.g, args.gPitch, args.n)
	rowsAt(u[:], args.u, args.uPitch, args.n)
	for k := range args.n / 4 {
		var h [12]float32 // G g
		for c := range 3 {
			g0, g1, g2 := g[c][k], g[3+c][k], g[6+c][k]
			h[c], h[3+c], h[6+c], h[9+c] = g0, 0.5*(g0+g2+g1), 0.5*(g0+g2-g1), g2
		}
		for i := range 4 {
			h0, h1, h2 := h[3*i], h[3*i+1], h[3*i+2]
			u[4*i][k], u[4*i+1][k], u[4*i+2][k], u[4*i+3][k] = h0, 0.5*(h0+h2+h1), 0.5*(h0+h2-h1), h2
		}
	}
}

func winogradWeightsGradPortable(args *winogradWeightArgs) {
	var g [9][]float32
	var u [16][]float32
	rowsAt(g[:], args.g, args.gPitch, args.n)
	rowsAt(u[:], args.u, args.uPitch, args.n)
	for k := range args.n / 4 {
		var q [12]float32 // G^T U
		for j := range 4 {
			u1, u2 := u[4+j][k], u[8+j][k]
			sum := 0.5 * (u1 + u2)
			q[j], q[4+j], q[8+j] = u[j][k]+sum, 0.5*(u1-u2), sum+u[12+j][k]
		}
		for i := range 3 {
			q1, q2 := q[4*i+1], q[4*i+2]
			sum := 0.5 * (q1 + q2)
			g[3*i][k], g[3*i+1][k], g[3*i+2][k] = q[4*i]+sum, 0.5*(q1-q2), sum+q[4*i+3]
		}
	}
}
