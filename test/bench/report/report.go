// Package report holds the benchmark's numbers and prints them side by side.
package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Phase is what an operator used in one phase. Durations are in nanoseconds, memory in bytes.
type Phase struct {
	Wall       time.Duration  `json:"wall"`
	CPU        time.Duration  `json:"cpu"`
	Requests   map[string]int `json:"requests"` // by verb and resource
	Reconciles int            `json:"reconciles"`
	RSS        int64          `json:"rss"`
	Peak       int64          `json:"peak"` // since the start of the process
}

// Total is the number of requests without watches.
func (p Phase) Total() int { return p.sum(func(verb string) bool { return verb != "watch" }) }

// Writes is the number of requests that were to change something.
func (p Phase) Writes() int {
	return p.sum(func(verb string) bool { return slices.Contains(writing, verb) })
}

var writing = []string{"create", "update", "patch", "delete", "deletecollection"}

func (p Phase) sum(counts func(verb string) bool) int {
	n := 0
	for request, count := range p.Requests {
		if verb, _, _ := strings.Cut(request, " "); counts(verb) {
			n += count
		}
	}
	return n
}

// Result is all phases of one variant with N custom resources.
type Result struct {
	Variant string           `json:"variant"`
	N       int              `json:"n"`
	Phases  map[string]Phase `json:"phases"`
	// Requests is what the operators counted in all phases and between them, Audited what the API
	// server did; both without watches.
	Requests int `json:"requests"`
	Audited  int `json:"audited"`
}

// Report is one run of the benchmark.
type Report struct {
	Started time.Time `json:"started"`
	CPUs    int       `json:"cpus"`
	Results []Result  `json:"results"`
}

// row is one line of the table.
type row struct {
	label string
	// value of a result; false when the variant has none.
	value  func(r Result) (float64, bool)
	format string
}

func perService(r Result, v float64) float64 { return v / float64(r.N) }

func of(phase string, value func(r Result, p Phase) float64) func(r Result) (float64, bool) {
	return func(r Result) (float64, bool) {
		p, ok := r.Phases[phase]
		if !ok {
			return 0, false
		}
		return value(r, p), true
	}
}

func requests(r Result, p Phase) float64 { return perService(r, float64(p.Total())) }
func writes(_ Result, p Phase) float64   { return float64(p.Writes()) }
func wall(_ Result, p Phase) float64     { return p.Wall.Seconds() }
func cpuEach(r Result, p Phase) float64  { return perService(r, p.CPU.Seconds()*1000) }
func peak(_ Result, p Phase) float64     { return float64(p.Peak) / (1 << 20) }

func reconcileCost(of func(p Phase) float64) func(Result, Phase) float64 {
	return func(_ Result, p Phase) float64 { return of(p) / float64(max(p.Reconciles, 1)) }
}

var rows = []row{
	{"install: wall, s", of("install", wall), "%.2f"},
	{"install: requests per service", of("install", requests), "%.1f"},
	{"install: CPU per service, ms", of("install", cpuEach), "%.1f"},
	{"idle: requests", of("idle", func(_ Result, p Phase) float64 { return float64(p.Total()) }), "%.0f"},
	{"idle: CPU per service and minute, ms", of("idle", func(r Result, p Phase) float64 {
		return cpuEach(r, p) / p.Wall.Minutes()
	}), "%.2f"},
	{"no-op reconcile: requests", of("touch", reconcileCost(func(p Phase) float64 { return float64(p.Total()) })), "%.1f"},
	{"no-op reconcile: CPU, ms", of("touch", reconcileCost(func(p Phase) float64 { return p.CPU.Seconds() * 1000 })), "%.2f"},
	{"upgrade: wall, s", of("upgrade", wall), "%.2f"},
	{"upgrade: requests per service", of("upgrade", requests), "%.1f"},
	{"upgrade: CPU per service, ms", of("upgrade", cpuEach), "%.1f"},
	{"restart: wall until idle, s", of("restart", wall), "%.2f"},
	{"restart: requests", of("restart", func(_ Result, p Phase) float64 { return float64(p.Total()) }), "%.0f"},
	{"restart: writes", of("restart", writes), "%.0f"},
	{"restart: CPU, s", of("restart", func(_ Result, p Phase) float64 { return p.CPU.Seconds() }), "%.2f"},
	{"peak memory, MiB", of("upgrade", peak), "%.0f"},
	{"peak memory after restart, MiB", of("restart", peak), "%.0f"},
}

// Print writes one Markdown table per N.
func (r Report) Print(w io.Writer) error {
	var ns []int
	for _, result := range r.Results {
		if !slices.Contains(ns, result.N) {
			ns = append(ns, result.N)
		}
	}
	for _, n := range ns {
		if err := r.print(w, n); err != nil {
			return err
		}
	}
	return nil
}

func (r Report) print(w io.Writer, n int) error {
	t := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	fmt.Fprintf(t, "\n| N = %d\t| ours\t| stock\t| floor\t| stock / ours\t| ours / floor\t|\n", n)
	fmt.Fprintln(t, "|---\t|---:\t|---:\t|---:\t|---:\t|---:\t|")
	for _, row := range rows {
		cells := []string{row.label}
		for _, variant := range []string{"ours", "stock", "floor"} {
			cells = append(cells, r.cell(row, n, variant))
		}
		cells = append(cells, r.ratio(row, n, "stock", "ours"), r.ratio(row, n, "ours", "floor"))
		fmt.Fprintf(t, "| %s\t|\n", strings.Join(cells, "\t| "))
	}
	for _, result := range r.Results {
		if result.N == n {
			fmt.Fprintf(t, "\n%s: %d requests counted, %d in the API server's audit log", result.Variant, result.Requests, result.Audited)
		}
	}
	fmt.Fprintln(t)
	return t.Flush()
}

func (r Report) value(row row, n int, variant string) (float64, bool) {
	for _, result := range r.Results {
		if result.N == n && result.Variant == variant {
			return row.value(result)
		}
	}
	return 0, false
}

func (r Report) cell(row row, n int, variant string) string {
	v, ok := r.value(row, n, variant)
	if !ok {
		return ""
	}
	return fmt.Sprintf(row.format, v)
}

// ratio is empty where it says nothing.
func (r Report) ratio(row row, n int, above, below string) string {
	a, okA := r.value(row, n, above)
	b, okB := r.value(row, n, below)
	if !okA || !okB || b == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f", a/b)
}
