package learn

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"time"

	"emdiff/nn"
)

// save hands the State and the arrays that go with it to the Store.
func (em *EM) save() error {
	if err := em.set.Sync(); err != nil {
		return err
	}
	files := []File{{Name: em.weightsFile(), Write: func(w io.Writer) error { return em.net.WriteState(w, nil) }}}
	if n := em.drawsDone(); n > 0 {
		files = append(files, File{Name: em.drawsFile(), Write: func(w io.Writer) error { return em.writeDraws(w, n) }})
	}
	em.saved = time.Now()
	return em.Store.Save(em.State, files)
}

// restore reads the arrays that belong to em.State.
func (em *EM) restore() error {
	r, size, closer, err := em.Store.Open(em.weightsFile())
	if err != nil {
		return err
	}
	defer closer.Close()
	f, err := nn.ReadSafetensors(r, size)
	if err == nil {
		err = em.net.ReadState(f)
	}
	if err != nil {
		return fmt.Errorf("checkpoint %s: %w", em.weightsFile(), err)
	}
	if n := em.drawsDone(); n > 0 {
		return em.readDraws(n)
	}
	return nil
}

// weightsFile names the weights by the training steps that made them: they do not change in other phases.
func (em *EM) weightsFile() string {
	s := em.State
	round, steps := s.Round, "end"
	switch s.Phase {
	case Init, MStep:
		steps = fmt.Sprint(s.Position)
	case EStep:
		round--
	}
	return fmt.Sprintf("weights-%03d-%s.safetensors", round, steps)
}

// drawsDone is the number of reconstructions that the state depends on.
func (em *EM) drawsDone() int {
	switch em.State.Phase {
	case EStep:
		return em.State.Position
	case MStep, Evaluate:
		if em.State.Round > 0 {
			return em.plan().Subset
		}
	}
	return 0
}

func (em *EM) drawsFile() string {
	return fmt.Sprintf("draws-%03d-%d.f32", em.State.Round, em.drawsDone())
}

// writeDraws writes the first n reconstructions as little-endian float32.
func (em *EM) writeDraws(w io.Writer, n int) error {
	values := make([]float32, n*em.train.len)
	em.set.Download(values, em.draws)
	return binary.Write(w, binary.LittleEndian, values)
}

func (em *EM) readDraws(n int) error {
	r, size, closer, err := em.Store.Open(em.drawsFile())
	if err != nil {
		return err
	}
	defer closer.Close()
	want := int64(4 * n * em.train.len)
	if size != want {
		return fmt.Errorf("checkpoint %s has %d bytes, want %d: the checkpoint is damaged, start a new run", em.drawsFile(), size, want)
	}
	bytes := make([]byte, size)
	if _, err := r.ReadAt(bytes, 0); err != nil && err != io.EOF {
		return fmt.Errorf("checkpoint %s: %w", em.drawsFile(), err)
	}
	values := make([]float32, n*em.train.len)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(bytes[4*i:]))
	}
	em.makeRoom(em.plan().Subset)
	em.set.Upload(em.draws, values)
	return nil
}
