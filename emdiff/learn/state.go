package learn

import "io"

// Phase is a part of a round.
type Phase string

// The phases in their order: round 0 has Init and Evaluate, after Fit and EStep where it starts from a Gaussian; rounds 1..
// have EStep, MStep and Evaluate; Final follows the last round.
const (
	Fit      Phase = "fit"
	Init     Phase = "init"
	EStep    Phase = "e-step"
	MStep    Phase = "m-step"
	Evaluate Phase = "evaluate"
	Final    Phase = "final"
	Done     Phase = "done"
)

// State says where a run stands: Position units (iterations of the fit, training steps or images) of Phase of Round are finished. Together
// with the arrays of a checkpoint and the configuration it determines everything that follows.
type State struct {
	Round    int           `json:"round"`
	Phase    Phase         `json:"phase"`
	Position int           `json:"position"`
	LossSum  float64       `json:"loss_sum"` // of the phase's training steps so far
	Seconds  PhaseSeconds  `json:"seconds"`  // of the round so far
	Results  []RoundResult `json:"results"`
	// Totals over the run.
	TotalSeconds float64 `json:"total_seconds"`
}

// PhaseSeconds is the time a round has spent in its parts.
type PhaseSeconds struct {
	EStep    float64 `json:"e_step"`
	MStep    float64 `json:"m_step"` // initialisation in round 0
	Evaluate float64 `json:"evaluate"`
}

// RoundResult is what the evaluation after a round found. PSNR and SSIM are means over the held-out images (range 2,
// unclipped); they need the truth, and are 0 in runs that have measurements alone.
type RoundResult struct {
	Round            int     `json:"round"`
	Images           int     `json:"images"` // the prior was trained on
	Steps            int     `json:"steps"`
	Reset            bool    `json:"reset"`
	Loss             float64 `json:"loss"`                        // mean training loss of the round
	PSNRMeasurements float64 `json:"psnr_measurements,omitempty"` // of y itself
	PSNRDraw         float64 `json:"psnr_draw,omitempty"`         // of single posterior draws
	SSIMDraw         float64 `json:"ssim_draw,omitempty"`
	MisfitDraw       float64 `json:"misfit_draw"`            // of single draws; 1 is the measurements' own noise
	MisfitTrain      float64 `json:"misfit_train,omitempty"` // of the E-step's draws
	// SpreadDraw is the standard deviation of the posterior: half the mean squared difference of two draws, its root.
	// It is measured where there is no truth.
	SpreadDraw float64 `json:"spread_draw,omitempty"`
	// LogLikelihood is that of the held-out measurements per measured value, in nats, under a Gaussian with the
	// moments of the images that the prior was trained on (posterior.Gaussian of rank Config.Init.Rank; 0 without one).
	LogLikelihood float64      `json:"loglik_measurements,omitempty"`
	Seconds       PhaseSeconds `json:"seconds"`
}

// FinalResult compares the last prior with the first on the held-out images. PSNR and SSIM need the truth.
type FinalResult struct {
	PSNRMeasurements float64 `json:"psnr_measurements,omitempty"`
	PSNRTikhonov     float64 `json:"psnr_tikhonov,omitempty"`   // x minimising |A x - y|^2/sigma^2 + |x|^2/R^2, at the best of several R
	PSNRInitPrior    float64 `json:"psnr_init_prior,omitempty"` // single draws, prior of round 0
	PSNRFinal        float64 `json:"psnr_final,omitempty"`      // single draws, last prior
	PSNRFinalMean    float64 `json:"psnr_final_mean,omitempty"` // mean of Draws draws, last prior
	SSIMFinal        float64 `json:"ssim_final,omitempty"`
	SSIMFinalMean    float64 `json:"ssim_final_mean,omitempty"`
	MisfitFinal      float64 `json:"misfit_final"`           // of single draws
	SpreadFinal      float64 `json:"spread_final,omitempty"` // standard deviation of Draws draws
	Draws            int     `json:"draws"`
	Seconds          float64 `json:"seconds"`
}

// File is one array of a checkpoint. Its name is unique for its contents, so a Store may skip one it already has.
type File struct {
	Name  string
	Write func(io.Writer) error
}

// Store keeps the latest checkpoint of a run.
type Store interface {
	// Save replaces the checkpoint by state and files, all or nothing.
	Save(state State, files []File) error
	// Load returns the state of the latest checkpoint; ok is false when there is none.
	Load() (state State, ok bool, err error)
	// Open returns a file of the latest checkpoint and its size.
	Open(name string) (io.ReaderAt, int64, io.Closer, error)
}

// Observer is told what happens. Calls come from one goroutine.
type Observer interface {
	// Phase begins: done of total units (training steps or images) are finished already.
	Phase(round int, phase Phase, done, total int)
	// Advance reports n finished units.
	Advance(n int)
	// Loss reports the mean training loss since the last report, ending at the given step.
	Loss(round int, phase Phase, step int, loss float64) error
	// Round reports an evaluation: images of the first Shown held-out images' draws, then of the generated ones, NHWC.
	Round(result RoundResult, shown, generated []float32) error
	// Final reports the end: means of the draws of the first Shown held-out images.
	Final(result FinalResult, shown []float32) error
}
