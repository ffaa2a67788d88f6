package run

import (
	"fmt"

	"emdiff/emdiff/data"
	"emdiff/emdiff/learn"
)

// loadImages opens the data of a run and divides it, by seed: the held-out images first, then the clean ones, the rest
// being measured and learned from.
func loadImages(s Settings) (whole *data.Set, images learn.Images, err error) {
	if whole, err = s.Data.open(); err != nil {
		return nil, images, err
	}
	held, clean := s.Eval.HeldOut, s.Init.Clean
	if s.Data.Limit < 0 {
		return nil, images, fmt.Errorf("data.limit = %d must not be negative (0 = all images)", s.Data.Limit)
	}
	if held < 1 || clean < 1 || held+clean >= whole.Len() {
		return nil, images, fmt.Errorf("%s holds %d images: eval.held_out = %d and init.clean = %d must be positive and leave some to measure",
			whole.Name, whole.Len(), held, clean)
	}
	rest, heldIDs := whole.Split(held, s.Seed)
	remainder := whole.Subset(rest)
	trainIDs, cleanIDs := remainder.Split(clean, s.Seed)
	if s.Data.Limit > 0 && s.Data.Limit < len(trainIDs) {
		trainIDs = trainIDs[:s.Data.Limit]
	}
	return whole, learn.Images{Clean: remainder.Subset(cleanIDs), Train: remainder.Subset(trainIDs), Held: whole.Subset(heldIDs)}, nil
}
