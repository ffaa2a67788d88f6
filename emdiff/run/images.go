package run

import (
	"fmt"
	"math"

	"emdiff/emdiff/data"
	"emdiff/emdiff/learn"
	"emdiff/emdiff/physics"
)

// loadImages opens the data of a run and divides it, by seed: the held-out images first, then the clean ones, the rest
// being learned from. whole is what was opened.
func loadImages(s Settings) (whole *data.Set, images learn.Images, err error) {
	if err := s.Data.validate(); err != nil {
		return nil, images, err
	}
	if whole, err = s.open(); err != nil {
		return nil, images, err
	}
	held, clean := s.heldOut(whole.Len()), s.Init.Clean
	if s.Data.measured() {
		clean = 0
	}
	if held < 1 || clean < 0 || held+clean >= whole.Len() {
		return nil, images, fmt.Errorf("%s holds %d images: eval.held_out = %d must be positive, init.clean = %d not negative, and some must be left to learn from",
			whole.Name, whole.Len(), held, clean)
	}
	rest, heldIDs := whole.Split(held, s.Seed)
	images.Measured = s.Data.measured()
	images.Held = whole.Subset(heldIDs)
	if !images.Measured {
		remainder := whole.Subset(rest)
		trainIDs, cleanIDs := remainder.Split(clean, s.Seed)
		images.Train = remainder.Subset(trainIDs)
		if clean > 0 {
			images.Clean = remainder.Subset(cleanIDs)
		}
	} else {
		images.Train = whole.Subset(rest)
		if s.Data.Clean != "" {
			if images.Clean, err = s.Data.options().Open(s.Data.Clean); err != nil {
				return nil, images, err
			}
		}
	}
	masks, err := s.openCamera(whole, &images.Camera)
	if err != nil {
		return nil, images, err
	}
	parts := []part{{&images.Train, nil, s.Data.Limit}, {&images.Held, nil, 0}, {&images.Clean, nil, 0}}
	if masks != nil {
		trainMasks, heldMasks := masks.Subset(rest), masks.Subset(heldIDs)
		parts[0].masks, parts[1].masks = trainMasks, heldMasks
	}
	if s.Data.Patch > 0 {
		parts[1].limit = s.Eval.HeldOut
	}
	for i := range parts {
		if err := parts[i].cut(s); err != nil {
			return nil, images, err
		}
	}
	if masks != nil {
		images.Masks = append(parts[0].masks.Pixels, parts[1].masks.Pixels...)
	}
	return whole, images, nil
}

// heldOut is how many of n images are held out: eval.held_out, but of the user's own measurements, or of images that are cut
// into patches, at most a tenth.
func (s Settings) heldOut(n int) int {
	switch {
	case s.Data.Patch > 0:
		return max(1, n/10)
	case s.Data.measured():
		return min(s.Eval.HeldOut, max(1, n/10))
	}
	return s.Eval.HeldOut
}

// openCamera reads the user's masks and kernel. Masks come as a set of their own, one for each image of whole, or nil; a
// single mask for all images goes into the camera at once.
func (s Settings) openCamera(whole *data.Set, camera *learn.Camera) (masks *data.Set, err error) {
	if s.Data.Kernel != "" {
		if camera.Kernel, err = data.OpenKernel(s.Data.Kernel); err != nil {
			return nil, err
		}
	}
	if s.Data.Masks == "" {
		if s.Data.measured() && s.Task.Name == "inpaint" {
			return nil, fmt.Errorf("task.name = \"inpaint\": which pixels of %s were measured? give --masks", whole.Source)
		}
		return nil, nil
	}
	values, err := data.OpenMasks(s.Data.Masks, whole)
	if err != nil {
		return nil, err
	}
	if hw := whole.H * whole.W; len(values) == hw && whole.Len() > 1 {
		if s.Data.Patch == 0 {
			camera.Masks = values
			return nil, nil
		}
		one := values
		for range whole.Len() - 1 { // patches of one mask differ
			values = append(values, one...)
		}
	}
	return &data.Set{Name: "masks", Source: s.Data.Masks, H: whole.H, W: whole.W, C: 1, Pixels: values}, nil
}

// part is one of the sets of a run, and its masks where images have their own.
type part struct {
	images **data.Set // may be nil
	masks  *data.Set
	limit  int // images to keep; 0 = all
}

// cut makes patches where the settings ask for them, and keeps so many images, chosen by seed.
func (p *part) cut(s Settings) error {
	if *p.images == nil {
		return nil
	}
	if n := s.Data.Patch; n > 0 {
		patches, err := (*p.images).Patches(n, patchStride(n))
		if err != nil {
			return err
		}
		*p.images = patches
		if p.masks != nil {
			if p.masks, err = p.masks.Patches(n, patchStride(n)); err != nil {
				return err
			}
			p.dropBlind()
		}
	}
	if n := (*p.images).Len(); p.limit > 0 && p.limit < n {
		ids := make([]int, p.limit)
		if s.Data.Patch > 0 { // neighbours are alike: take from everywhere
			_, ids = (*p.images).Split(p.limit, s.Seed)
		} else {
			for i := range ids {
				ids[i] = i
			}
		}
		p.keep(ids)
	}
	return nil
}

// patchStride is the distance of patches to learn from: they overlap by half.
func patchStride(size int) int { return max(1, size/2) }

// dropBlind leaves out patches in which nothing was measured.
func (p *part) dropBlind() {
	var ids []int
	for i := range p.masks.Len() {
		for _, v := range p.masks.Image(i) {
			if v != 0 {
				ids = append(ids, i)
				break
			}
		}
	}
	p.keep(ids)
}

func (p *part) keep(ids []int) {
	*p.images = (*p.images).Subset(ids)
	if p.masks != nil {
		p.masks = p.masks.Subset(ids)
	}
}

// fill derives from the images what the settings leave open: the network's channels and size, the number of clean and of
// held-out images, and the noise if it is not known (NaN). It returns what it estimated, for the log.
func (s *Settings) fill(images learn.Images) (estimated string, err error) {
	train := images.Train
	s.Network.InChannels, s.Network.OutChannels, s.Network.ImageSize = train.C, train.C, train.H
	s.Eval.HeldOut = images.Held.Len()
	if images.Measured {
		s.Init.Clean = 0
		if images.Clean != nil {
			s.Init.Clean = images.Clean.Len()
		}
	}
	if !math.IsNaN(s.Task.Sigma) {
		return "", nil
	}
	if !images.Measured {
		return "", fmt.Errorf("task.sigma = NaN must be a finite number: it says how much noise to simulate")
	}
	if s.Task.Sigma, err = physics.EstimateSigma(train.Pixels, train.Len(), train.H, train.W, train.C, trainMasks(images)); err != nil {
		return "", fmt.Errorf("the noise of %s cannot be estimated (%w): give it with --sigma, on the scale where black is -1 and white is 1", train.Source, err)
	}
	if s.Task.Sigma == 0 {
		return "", fmt.Errorf("the images in %s show no noise at all: give it with --sigma, on the scale where black is -1 and white is 1", train.Source)
	}
	return fmt.Sprintf("sigma %.4f was estimated from the measurements (black -1, white 1); --sigma says it if you know better", s.Task.Sigma), nil
}

// trainMasks are those of the training images, which come first; one mask for all stays one.
func trainMasks(images learn.Images) []float32 {
	hw := images.Train.H * images.Train.W
	return images.Masks[:min(len(images.Masks), images.Train.Len()*hw)]
}
