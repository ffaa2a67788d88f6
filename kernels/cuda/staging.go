package cuda

import (
	"errors"

	"emdiff/gpu"
)

const stagingBytes = 1 << 20

// staging is the pinned host memory through which all copies go, the only kind that the device reads while the host works on: two slots
// in turn, so that one is filled while the other is copied.
type staging struct {
	slots [2]slot
	next  int
}

type slot struct {
	host []byte
	done gpu.Event // recorded after the last copy that used the slot
	busy bool
}

func (t *staging) open(d gpu.Driver) error {
	for i := range t.slots {
		var err error
		if t.slots[i].host, err = d.AllocPinned(stagingBytes); err != nil {
			return err
		}
		if t.slots[i].done, err = d.NewEvent(); err != nil {
			return err
		}
	}
	return nil
}

func (t *staging) close(d gpu.Driver) error {
	var errs []error
	for _, s := range t.slots {
		errs = append(errs, s.done.Close(), d.FreePinned(s.host))
	}
	return errors.Join(errs...)
}

// take returns the next slot when its last copy is over.
func (t *staging) take() (*slot, error) {
	s := &t.slots[t.next]
	t.next = (t.next + 1) % len(t.slots)
	if s.busy {
		if err := s.done.Sync(); err != nil {
			return nil, err
		}
		s.busy = false
	}
	return s, nil
}

// upload queues the copy of src to the start of dst; src is free when it returns.
func (t *staging) upload(s *set, dst gpu.Buffer, src []byte) error {
	for at := 0; at < len(src); at += stagingBytes {
		n := min(stagingBytes, len(src)-at)
		slot, err := t.take()
		if err != nil {
			return err
		}
		copy(slot.host, src[at:at+n])
		if err := s.driver.CopyHtoDAsync(dst.Slice(int64(at), int64(n)), slot.host[:n], s.stream); err != nil {
			return err
		}
		if err := slot.done.Record(s.stream); err != nil {
			return err
		}
		slot.busy = true
	}
	return nil
}

// download waits for the copy of the start of src to dst. While one slot is read, the next is already being filled.
func (t *staging) download(s *set, dst []byte, src gpu.Buffer) error {
	var waiting *slot
	var into []byte
	receive := func() error {
		if waiting == nil {
			return nil
		}
		if err := waiting.done.Sync(); err != nil {
			return err
		}
		waiting.busy = false
		copy(into, waiting.host)
		return nil
	}
	for at := 0; at < len(dst); at += stagingBytes {
		n := min(stagingBytes, len(dst)-at)
		slot, err := t.take()
		if err != nil {
			return err
		}
		if err := s.driver.CopyDtoHAsync(slot.host[:n], src.Slice(int64(at), int64(n)), s.stream); err != nil {
			return err
		}
		if err := slot.done.Record(s.stream); err != nil {
			return err
		}
		slot.busy = true
		if err := receive(); err != nil {
			return err
		}
		waiting, into = slot, dst[at:at+n]
	}
	return receive()
}
