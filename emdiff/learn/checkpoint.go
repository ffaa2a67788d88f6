package learn

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"emdiff/emdiff/posterior"
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
	if em.needsGaussian() {
		files = append(files, File{Name: em.gaussianFile(), Write: func(w io.Writer) error { return writeFloats(w, em.gaussian.Values()) }})
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
	if em.needsGaussian() {
		values, err := em.readFloats(em.gaussianFile(), posterior.NumValues(em.Config.Init.Rank, em.train.len))
		if err != nil {
			return err
		}
		em.gaussian.SetValues(values)
	}
	if n := em.drawsDone(); n > 0 {
		values, err := em.readFloats(em.drawsFile(), n*em.train.len)
		if err != nil {
			return err
		}
		em.makeRoom(em.plan().Subset)
		em.set.Upload(em.draws, values)
	}
	return nil
}

// needsGaussian reports whether what follows depends on the fit so far.
func (em *EM) needsGaussian() bool {
	s := em.State
	return s.Phase == Fit && s.Position > 0 || s.Phase == EStep && s.Round == 0
}

// gaussianFile names the Gaussian by the iterations that made it.
func (em *EM) gaussianFile() string {
	n := em.Config.Init.Iterations
	if em.State.Phase == Fit {
		n = em.State.Position
	}
	return fmt.Sprintf("gaussian-%d.f32", n)
}

// weightsFile names the weights by the training steps that made them: they do not change in other phases.
func (em *EM) weightsFile() string {
	s := em.State
	round, steps := s.Round, "end"
	switch s.Phase {
	case Init, MStep:
		steps = fmt.Sprint(s.Position)
	case Fit:
		steps = "0"
	case EStep:
		if round--; round < 0 {
			round, steps = 0, "0"
		}
	}
	return fmt.Sprintf("weights-%03d-%s.safetensors", round, steps)
}

// drawsDone is the number of reconstructions that the state depends on.
func (em *EM) drawsDone() int {
	switch em.State.Phase {
	case EStep:
		return em.State.Position
	case Init, MStep, Evaluate:
		if em.State.Round > 0 || em.Config.Init.gaussian() {
			return em.plan().Subset
		}
	}
	return 0
}

func (em *EM) drawsFile() string {
	return fmt.Sprintf("draws-%03d-%d.f32", em.State.Round, em.drawsDone())
}

// writeDraws writes the first n reconstructions.
func (em *EM) writeDraws(w io.Writer, n int) error {
	values := make([]float32, n*em.train.len)
	em.set.Download(values, em.draws)
	return writeFloats(w, values)
}

// writeFloats writes little-endian float32.
func writeFloats(w io.Writer, values []float32) error {
	return binary.Write(w, binary.LittleEndian, values)
}

// readFloats reads a file of the checkpoint that holds n of them.
func (em *EM) readFloats(name string, n int) ([]float32, error) {
	r, size, closer, err := em.Store.Open(name)
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	if want := int64(4 * n); size != want {
		return nil, fmt.Errorf("checkpoint %s has %d bytes, want %d: the checkpoint is damaged, start a new run", name, size, want)
	}
	values := make([]float32, n)
	if err := binary.Read(io.NewSectionReader(r, 0, size), binary.LittleEndian, values); err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", name, err)
	}
	return values, nil
}
