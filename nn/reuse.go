package nn

// reuse hands out values that a step needs and the next step needs again: the n-th of a step is the n-th of the one before,
// with what that left in it.
type reuse[T any] struct {
	all  []*T
	used int
}

func (r *reuse[T]) next() *T {
	if r.used == len(r.all) {
		r.all = append(r.all, new(T))
	}
	r.used++
	return r.all[r.used-1]
}

func (r *reuse[T]) reset() { r.used = 0 }

// states is reuse for the ops, each of which has a type of its own.
type states struct {
	all  []any
	used int
}

func (s *states) reset() { s.used = 0 }

// state returns a T that is valid until the tape's Reset. The caller sets all of it.
func state[T any](t *Tape) *T {
	s := &t.states
	if s.used == len(s.all) {
		s.all = append(s.all, nil)
	}
	v, ok := s.all[s.used].(*T)
	if !ok {
		v = new(T)
		s.all[s.used] = v
	}
	s.used++
	return v
}
