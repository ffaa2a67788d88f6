package inspect

import (
	"cmp"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"emdiff/gpu/emu"
	"emdiff/kernels"
	"emdiff/kernels/cuda"
	"emdiff/kernels/kerneltest"
)

// PassCount is what a pass of a network executes.
type PassCount struct {
	Network   string      `json:"network"`
	Pass      string      `json:"pass"`
	Precision string      `json:"precision"`
	Images    int         `json:"images"`
	Calls     []CallCount `json:"calls"`
	Total     Prediction  `json:"total"`
	Launches  int         `json:"launches"`
}

// CallCount is one op on one shape, and how often the pass calls it.
type CallCount struct {
	Calls   int      `json:"calls"`
	Without []string `json:"without,omitempty"` // optional arguments that are left out
	CaseCount
	// CountedImages are the batches that were run: that of the pass, or two smaller ones that it was extrapolated from, exactly.
	CountedImages []int `json:"counted_images"`
	// Prediction is for one call.
	Prediction Prediction `json:"prediction"`
}

// Prediction is the time that an H100 needs at the least, in microseconds, by three bounds. Launches follow each other; what a launch
// costs by itself is left out.
type Prediction struct {
	// Roof is the roofline: the executed FLOPs at the rate of their units, or the least bytes at that of the memory.
	Roof float64 `json:"roof_us"`
	// Uncached is the roofline if no cache kept anything from one request of a warp to the next.
	Uncached float64 `json:"uncached_us"`
	// Issue is the time to issue the instructions of the warps, one per clock and scheduler.
	Issue float64 `json:"issue_us"`
}

func (p *Prediction) add(q Prediction, times int) {
	p.Roof += float64(times) * q.Roof
	p.Uncached += float64(times) * q.Uncached
	p.Issue += float64(times) * q.Issue
}

// What an H100 does in a microsecond. Those of the tensor cores are estimates of what mma.sync reaches.
const (
	memoryRate = 3.0e6 // bytes
	f32Rate    = 60e6  // FLOPs
	tf32Rate   = 300e6
	bf16Rate   = 600e6
	issueRate  = f32Rate / (2 * 32) // warp instructions: as many as make f32Rate of fused multiply-adds
)

// rate is that of the units that do the FLOPs of a launch.
func (l LaunchCount) rate() float64 {
	switch {
	case l.ByClass[emu.ClassTensor.String()] == 0:
		return f32Rate
	case strings.Contains(l.Kernel, "_bf16_"):
		return bf16Rate
	}
	return tf32Rate
}

// predict is the prediction for the launches of a call.
func predict(cost kernels.Cost, launches []LaunchCount) (p Prediction) {
	arithmetic := 0.0
	for _, l := range launches {
		t := float64(l.FLOPs) / l.rate()
		arithmetic += t
		p.Uncached += max(t, 32*float64(l.Sectors)/memoryRate)
		p.Issue += float64(l.WarpInstructions) / issueRate
	}
	p.Roof = max(arithmetic, cost.Bytes/memoryRate)
	return p
}

// Trace lists the calls that a pass makes on a number of images, in order.
type Trace func(images int) ([]kerneltest.Case, error)

// Difference is the trace of what long does after short: of one round of a pass, from the traces of two and of three rounds, without
// what comes before the first.
func Difference(short, long []kerneltest.Case) (extra []kerneltest.Case) {
	spare := map[string]int{}
	for _, c := range short {
		spare[c.String()]++
	}
	for _, c := range long {
		if key := c.String(); spare[key] > 0 {
			spare[key]--
		} else {
			extra = append(extra, c)
		}
	}
	return extra
}

// PassCounter counts passes on the emulator; what one of them has counted another need not run again.
type PassCounter struct {
	*bench
	counted map[string]CallCount // by case and batch
	// Calls of this much arithmetic, or of a tenth of the bytes, are run on fewer images, if they can be.
	long float64
}

// NewPassCounter opens the emulator.
func NewPassCounter() (*PassCounter, error) {
	b, err := Device{}.bench(cuda.Options{})
	const longCall = 1e8
	return &PassCounter{b, map[string]CallCount{}, longCall}, err
}

// Close closes the emulator.
func (n *PassCounter) Close() error { return n.close() }

// Count counts a pass: every call once, times how often it is made. Calls that would take long run on two smaller batches, on whose
// difference the rest of the images are exact multiples.
func (n *PassCounter) Count(images int, trace Trace) (p PassCount, err error) {
	p.Images = images
	t := traces{images, n.long, trace, map[int][]kerneltest.Case{}}
	calls, err := t.at(images)
	if err != nil {
		return p, err
	}
	at := map[string]int{} // index into p.Calls
	for i, c := range calls {
		key := fmt.Sprint(images, " ", c)
		if k, ok := at[key]; ok {
			p.Calls[k].Calls++
			continue
		}
		if _, ok := n.counted[key]; !ok {
			if n.counted[key], err = n.count(t, i); err != nil {
				return p, fmt.Errorf("%s: %w", shapeOf(c), err)
			}
		}
		at[key] = len(p.Calls)
		p.Calls = append(p.Calls, n.counted[key])
	}
	for _, c := range p.Calls {
		p.Total.add(c.Prediction, c.Calls)
		p.Launches += c.Calls * len(c.Launches)
	}
	return p, nil
}

// traces are those of a pass for some numbers of images.
type traces struct {
	images int
	long   float64 // of PassCounter
	trace  Trace
	of     map[int][]kerneltest.Case
}

func (t traces) at(images int) ([]kerneltest.Case, error) {
	if calls, ok := t.of[images]; ok {
		return calls, nil
	}
	calls, err := t.trace(images)
	t.of[images] = calls
	return calls, err
}

// count runs call i.
func (n *PassCounter) count(t traces, i int) (CallCount, error) {
	c := t.of[t.images][i]
	cost := c.Cost()
	call := CallCount{Calls: 1, Without: c.Without, CaseCount: CaseCount{Shape: shapeOf(c), CostFLOPs: cost.FLOPs, CostBytes: cost.Bytes}}
	cases, periods, err := t.smaller(i, &call)
	if err != nil {
		return call, err
	}
	rung := ""
	cuda.SetRung(n.set, rung)
	if op, conv, ok := convOf(c); ok { // that of the whole batch
		_, rung = cuda.Rungs(n.set, op, conv)
	}
	cuda.SetRung(n.set, rung)
	var runs [][]emu.Report
	for _, c := range cases {
		n.forget()
		if err := kerneltest.Queue(n.set, c); err != nil {
			return call, err
		}
		runs = append(runs, n.reports)
	}
	for k, r := range runs[0] {
		if len(runs) == 2 {
			if len(runs[0]) != len(runs[1]) || r.Kernel != runs[1][k].Kernel {
				return call, fmt.Errorf("launches other kernels on %d images than on %d", call.CountedImages[0], call.CountedImages[1])
			}
			extrapolate(reflect.ValueOf(&r.Counters).Elem(), reflect.ValueOf(runs[1][k].Counters), int64(periods))
			extrapolate(reflect.ValueOf(&r.Grid).Elem(), reflect.ValueOf(runs[1][k].Grid), int64(periods))
		}
		call.Launches = append(call.Launches, launchCount(r))
	}
	call.Prediction = predict(cost, call.Launches)
	return call, nil
}

// smaller returns call i alone, or on two smaller batches that are a period apart, and how many periods the whole is beyond the first.
func (t traces) smaller(i int, call *CallCount) (cases []kerneltest.Case, periods int, err error) {
	c := t.of[t.images][i]
	if short, long, periods := shortened(c); periods > 0 {
		call.CountedImages = []int{t.images}
		return []kerneltest.Case{short, long}, periods, nil
	}
	period := t.period(c)
	cost := c.Cost()
	if cost.FLOPs < t.long && cost.Bytes < t.long/10 || period == 0 || t.images <= 2*period {
		call.CountedImages = []int{t.images}
		return []kerneltest.Case{c}, 0, nil
	}
	few := period + t.images%period
	call.CountedImages = []int{few, few + period}
	for _, images := range call.CountedImages {
		calls, err := t.at(images)
		if err != nil {
			return nil, 0, err
		}
		if len(calls) != len(t.of[t.images]) || calls[i].Op != c.Op {
			return nil, 0, fmt.Errorf("other calls are made for %d images than for %d", images, t.images)
		}
		cases = append(cases, calls[i])
	}
	return cases, (t.images - few) / period, nil
}

// Multiples of the threads of the blocks that have one for each row of scores or each channel, and of the values of a block of the ops that
// move values.
const blockThreads, blockValues = 256, 1024

// period is over how many images the work of a call repeats itself; 0 where nothing is known.
func (t traces) period(c kerneltest.Case) int {
	switch p := c.Params.(type) {
	case kernels.Attention:
		return blockThreads / gcd(blockThreads, p.T*p.Heads) // no other block serves two images
	case kernels.GroupNorm:
		return blockThreads / gcd(blockThreads, p.C)
	case kernels.Resize:
		return blockValues / gcd(blockValues, p.H*p.W*p.C)
	case kernels.Channels:
		if p.Rows%t.images == 0 {
			return blockValues / gcd(blockValues, p.Rows/t.images*p.C)
		}
	}
	op, p, ok := convOf(c)
	if !ok {
		return 0
	}
	repeat := cuda.Repeat(op, p)
	common := gcd(repeat, gcd(p.N*p.H*p.W, p.N*p.OutH()*p.OutW())/t.images)
	if common == 0 || p.N%t.images != 0 {
		return 0
	}
	return repeat / common
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// convOf is the convolution that a case is, as the kernels see it, and its direction.
func convOf(c kerneltest.Case) (op string, p kernels.Conv, ok bool) {
	op = strings.Replace(c.Op, "Linear", "Conv2D", 1)
	switch v := c.Params.(type) {
	case kerneltest.Conv2D:
		return op, v.Conv, true
	case kernels.Conv:
		return op, v, true
	case kerneltest.Linear:
		return op, v.Linear.Conv(), true
	case kernels.Linear:
		return op, v.Conv(), true
	}
	return "", p, false
}

// shortened is a call of the optimiser on two shorter arrays, and how many times their difference the whole is longer than the first.
func shortened(c kerneltest.Case) (short, long kerneltest.Case, periods int) {
	with := func(n int) kerneltest.Case {
		d := c
		switch p := c.Params.(type) {
		case kernels.AdamW:
			p.Len = n
			d.Params = p
		case kernels.GradNorm:
			p.Len = n
			d.Params = p
		}
		return d
	}
	length := 0
	switch p := c.Params.(type) {
	case kernels.AdamW:
		length = p.Len
	case kernels.GradNorm:
		length = p.Len
	}
	const period = 4 << 20 // a multiple of what the blocks that add up a gradient make of it
	if length <= 2*period {
		return c, c, 0
	}
	few := period + length%period
	return with(few), with(few + period), (length - few) / period
}

// extrapolate makes every number a of one count a + periods (b - a).
func extrapolate(a, b reflect.Value, periods int64) {
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			extrapolate(a.Field(i), b.Field(i), periods)
		}
	case reflect.Array:
		for i := range a.Len() {
			extrapolate(a.Index(i), b.Index(i), periods)
		}
	case reflect.Int, reflect.Int64:
		a.SetInt(a.Int() + periods*(b.Int()-a.Int()))
	}
}

// shapeOf is the text that parseShape reads as the case's parameters.
func shapeOf(c kerneltest.Case) string {
	params, usual := reflect.ValueOf(c.Params), reflect.ValueOf(kerneltest.Cases(c.Op)[0].Params)
	var fields []string
	for _, name := range fieldNames(params.Type()) {
		if v := params.FieldByName(name); !v.Equal(usual.FieldByName(name)) && !slices.Contains(drawn, name) {
			fields = append(fields, fmt.Sprintf("%s=%v", name, v))
		}
	}
	return c.Op + ":" + strings.Join(fields, ",")
}

// drawn are parameters that say what is drawn, not how much.
var drawn = []string{"Seed", "Stream", "FirstImage"}

// PrintPass prints a table of the ops by the kernels that they launch, and with shapes every call.
func PrintPass(out io.Writer, p PassCount, shapes bool) error {
	fmt.Fprintf(out, "%s, %s, %s, %d images: %d launches; an H100 needs %.0f us by its roofline, %.0f us without caches, %.0f us to issue\n", p.Network,
		p.Pass, p.Precision, p.Images, p.Launches, p.Total.Roof, p.Total.Uncached, p.Total.Issue)
	t := table(out)
	fmt.Fprintln(t, "  calls\tkernels\tshape\tM instr\tGFLOP\tof cost\tMB\tof cost\tsectors per load\tstore\tconflicts\troof us\tuncached\tissue\timages run")
	if shapes {
		for _, c := range p.Calls {
			printGroup(t, []CallCount{c}, c.Shape+without(c.Without), fmt.Sprint(c.CountedImages))
		}
	} else {
		for _, g := range groups(p.Calls) {
			printGroup(t, g, fmt.Sprintf("%d shapes", len(g)), "")
		}
	}
	return t.Flush()
}

// PrintMarkdown prints the totals of the passes, and for each what its kernels do that take a hundredth of its time or more.
func PrintMarkdown(out io.Writer, passes []PassCount) error {
	fmt.Fprintln(out, "| network | pass | layers | images | launches | G instr. | GFLOP | of cost | roofline, us | without caches | to issue |\n|---|---|---|---|---|---|---|---|---|---|---|")
	for _, p := range passes {
		s := sum(p.Calls)
		fmt.Fprintf(out, "| %s | %s | %s | %d | %d | %.1f | %.1f | %s | %.0f | %.0f | %.0f |\n", p.Network, p.Pass, p.Precision, p.Images, p.Launches,
			s.instructions/1e9, s.flops/1e9, ratio(s.flops, s.costFLOPs), p.Total.Roof, p.Total.Uncached, p.Total.Issue)
	}
	for _, p := range passes {
		fmt.Fprintf(out, "\n%s, %s, %s:\n\n| kernels | calls | FLOPs of cost | bytes of cost | sectors per load | per store | bank conflicts | roofline, us |\n"+
			"|---|---|---|---|---|---|---|---|\n", p.Network, p.Pass, p.Precision)
		for _, g := range groups(p.Calls) {
			s := sum(g)
			if s.Prediction.Roof < p.Total.Roof/100 {
				break
			}
			fmt.Fprintf(out, "| %s | %d | %s | %s | %s | %s | %d | %.0f |\n", kernelsOf(g[0]), s.calls, ratio(s.flops, s.costFLOPs), ratio(32*s.sectors, s.costBytes),
				ratio(s.loadSectors, s.loads), ratio(s.storeSectors, s.stores), s.conflicts, s.Prediction.Roof)
		}
	}
	return nil
}

func without(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " without " + strings.Join(names, ", ")
}

// groups are the calls by op and kernels, the longest first.
func groups(calls []CallCount) (list [][]CallCount) {
	at := map[string]int{}
	for _, c := range calls {
		key := kernelsOf(c)
		i, ok := at[key]
		if !ok {
			i = len(list)
			at[key] = i
			list = append(list, nil)
		}
		list[i] = append(list[i], c)
	}
	slices.SortStableFunc(list, func(a, b []CallCount) int { return cmp.Compare(sum(b).Prediction.Roof, sum(a).Prediction.Roof) })
	return list
}

func kernelsOf(c CallCount) string {
	var names []string
	for _, l := range c.Launches {
		if !slices.Contains(names, l.Kernel) {
			names = append(names, l.Kernel)
		}
	}
	return strings.Join(names, " + ")
}

// sums of a group of calls.
type sums struct {
	calls                                    int
	instructions, flops, costFLOPs           float64
	sectors, costBytes                       float64
	loads, loadSectors, stores, storeSectors float64
	conflicts                                int64
	Prediction                               Prediction
}

func sum(calls []CallCount) (s sums) {
	for _, c := range calls {
		n := float64(c.Calls)
		s.calls += c.Calls
		s.costFLOPs += n * c.CostFLOPs
		s.costBytes += n * c.CostBytes
		s.Prediction.add(c.Prediction, c.Calls)
		for _, l := range c.Launches {
			s.instructions += n * float64(l.ThreadInstructions)
			s.flops += n * float64(l.FLOPs)
			s.sectors += n * float64(l.Sectors)
			s.loads += n * float64(l.LoadRequests)
			s.loadSectors += n * float64(l.LoadRequests) * l.LoadSectorsPerRequest
			s.stores += n * float64(l.StoreRequests)
			s.storeSectors += n * float64(l.StoreRequests) * l.StoreSectorsPerRequest
			s.conflicts += int64(c.Calls) * l.BankConflicts
		}
	}
	return s
}

func printGroup(t io.Writer, calls []CallCount, shape, images string) {
	s := sum(calls)
	fmt.Fprintf(t, "  %d\t%s\t%s\t%.2f\t%.3f\t%s\t%.2f\t%s\t%s\t%s\t%d\t%.1f\t%.1f\t%.1f\t%s\n", s.calls, kernelsOf(calls[0]), shape, s.instructions/1e6, s.flops/1e9,
		ratio(s.flops, s.costFLOPs), 32*s.sectors/1e6, ratio(32*s.sectors, s.costBytes), ratio(s.loadSectors, s.loads), ratio(s.storeSectors, s.stores),
		s.conflicts, s.Prediction.Roof, s.Prediction.Uncached, s.Prediction.Issue, images)
}

func ratio(a, b float64) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", a/b)
}
