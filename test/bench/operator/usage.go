package operator

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// Snapshot is what an operator process has used since its start.
type Snapshot struct {
	// Requests by verb (see verbOf).
	Requests map[string]int `json:"requests"`
	// Reconciles that ended.
	Reconciles int `json:"reconciles"`
	// CPU of the process, user and system.
	CPU time.Duration `json:"cpu"`
	// RSS now and at its peak, in bytes.
	RSS  int64 `json:"rss"`
	Peak int64 `json:"peak"`
}

// Total is the number of requests without watches.
func (s Snapshot) Total() int {
	n := 0
	for verb, count := range s.Requests {
		if !strings.HasPrefix(verb, "watch ") {
			n += count
		}
	}
	return n
}

// cpu is what this process has used.
func cpu() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, fmt.Errorf("read processor time: %w", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}

// memory returns the resident set in bytes, now and at its peak.
func memory() (now, peak int64, err error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0, fmt.Errorf("read memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line) // VmHWM:	   12345 kB
		if len(fields) < 2 {
			continue
		}
		kib, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			continue
		}
		switch fields[0] {
		case "VmHWM:":
			peak = kib * 1024
		case "VmRSS:":
			now = kib * 1024
		}
	}
	return now, peak, nil
}

// reconciles reads controller-runtime's own counter.
func reconciles() (int, error) {
	families, err := metrics.Registry.Gather()
	if err != nil {
		return 0, fmt.Errorf("gather metrics: %w", err)
	}
	n := 0.0
	for _, f := range families {
		if f.GetName() != "controller_runtime_reconcile_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			n += m.GetCounter().GetValue()
		}
	}
	return int(n), nil
}
