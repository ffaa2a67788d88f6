package data

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// loadImages reads the image files among the listed members of a container, sorted by path, as a set.
// Files are read one after the other and decoded on all cores. Memory: the set, and for each core
// one file and its decoded image (see [decodeImage]).
func (o OpenOptions) loadImages(root string, from container, list []member) (*Set, error) {
	rec, err := o.recipe()
	if err != nil {
		return nil, err
	}
	images := imageMembers(list)
	if len(images) == 0 {
		return nil, noImages(root, list)
	}
	slices.SortStableFunc(images, func(i, j int) int { return cmp.Compare(list[i].name, list[j].name) })
	places, kept := o.choose(len(images))
	placeOf := make([]int, len(list))
	for i := range placeOf {
		placeOf[i] = -1
	}
	for k, i := range images {
		placeOf[i] = places[k]
	}
	b := builder{recipe: rec, n: kept, bytes: from.bytes()}

	decode := func(i int, content []byte) error {
		name := filepath.Join(root, list[i].name)
		st, err := o.decodeMember(content, name, rec.background)
		if err != nil {
			return err
		}
		return b.put(placeOf[i], st, name, Origin{Path: list[i].name})
	}
	crew := newCrew(runtime.GOMAXPROCS(0))
	err = from.read(func(i int) bool { return placeOf[i] >= 0 }, func(i int, content []byte) error {
		if b.made == nil { // the first decides the shape, before others are compared with it
			return decode(i, content)
		}
		return crew.do(i, func() error { return decode(i, content) })
	})
	// An error of an earlier file counts before that of a later one, whichever was found first.
	if early := crew.wait(); early != nil {
		err = early
	}
	if err != nil {
		return nil, err
	}
	return b.made, nil
}

// decodeMember reads one image of any format.
func (o OpenOptions) decodeMember(content []byte, name string, under background) (*stored, error) {
	if len(content) == 0 {
		return nil, &Error{Path: name, Wrong: "is empty", Remedy: imageRemedy}
	}
	if bytes.HasPrefix(content, []byte(npyMagic)) {
		return o.decodeNPY(bytes.NewReader(content), name, int64(len(content)))
	}
	return decodeImage(content, name, imageBudget(len(content)), under)
}

// imageMembers gives the indices of the members that are images by their names.
func imageMembers(list []member) (images []int) {
	for i, m := range list {
		if isImageName(m.name) && !m.hidden() {
			images = append(images, i)
		}
	}
	return images
}

// noImages words the error about a container without images.
func noImages(root string, list []member) error {
	const remedy = "give a folder or archive of PNG, JPEG, WebP, TIFF or .npy images"
	others := map[string]bool{}
	for _, m := range list {
		if !m.hidden() {
			others[strings.ToLower(cmp.Or(path.Ext(m.name), "no extension"))] = true
		}
	}
	if len(others) == 0 {
		return &Error{Path: root, Wrong: "holds no files", Remedy: remedy}
	}
	const shown = 4
	kinds := slices.Sorted(maps.Keys(others))
	more := ""
	if len(kinds) > shown {
		kinds, more = kinds[:shown], ", ..."
	}
	return &Error{Path: root, Wrong: fmt.Sprintf("holds no images that can be read, only %s%s", strings.Join(kinds, ", "), more), Remedy: remedy}
}

// crew runs jobs on a few goroutines and keeps the error of the job that was given first.
type crew struct {
	busy    chan struct{} // holds a token for each running job
	running sync.WaitGroup

	mu    sync.Mutex
	err   error
	errAt int
}

func newCrew(size int) *crew { return &crew{busy: make(chan struct{}, size)} }

// do starts job i as soon as a goroutine is free, and reports an error once any job has failed. Jobs
// are given in rising order.
func (c *crew) do(i int, job func() error) error {
	c.busy <- struct{}{}
	if err := c.failure(); err != nil {
		<-c.busy
		return err
	}
	c.running.Go(func() {
		defer func() { <-c.busy }()
		if err := job(); err != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.err == nil || i < c.errAt {
				c.err, c.errAt = err, i
			}
		}
	})
	return nil
}

// wait waits for all jobs.
func (c *crew) wait() error {
	c.running.Wait()
	return c.failure()
}

func (c *crew) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
