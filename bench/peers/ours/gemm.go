package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"emdiff/kernels"
)

// newGEMM is the product of two square matrices.
func newGEMM(set kernels.Set, size string) (work, error) {
	n, values, err := square(size)
	if err != nil {
		return work{}, err
	}
	var m [3]kernels.Buffer
	for i := range m {
		m[i] = set.Alloc(kernels.F32, n*n)
		set.Upload(m[i], values)
	}
	return work{run: func() error {
		set.MatMul(m[0], m[1], m[2], kernels.MatMul{Batch: 1, M: n, N: n, K: n, Alpha: 1})
		return set.Sync()
	}, export: noExport}, nil
}

// newGonum is the same by gonum, which uses GOMAXPROCS threads.
func newGonum(size string) (work, error) {
	n, values, err := square(size)
	if err != nil {
		return work{}, err
	}
	var m [3]blas32.General
	for i := range m {
		m[i] = blas32.General{Rows: n, Cols: n, Stride: n, Data: append([]float32{}, values...)}
	}
	return work{run: func() error {
		blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, m[1], m[2], 0, m[0])
		return nil
	}, export: noExport}, nil
}

// square returns the values of a matrix of the given size.
func square(size string) (n int, values []float32, err error) {
	n, err = strconv.Atoi(size)
	if err != nil || n < 1 || n > 1<<14 {
		return 0, nil, fmt.Errorf("-case gemm/%s: want a size from 1 to %d", size, 1<<14)
	}
	values = make([]float32, n*n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range values {
		values[i] = float32(r.NormFloat64())
	}
	return n, values, nil
}

func noExport(string) error { return fmt.Errorf("-export: a matrix product has nothing to export") }
