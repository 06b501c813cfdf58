// Package journey is what end-to-end tests have in common: phases that follow each other on one cluster, each beginning where the one
// before has ended, and waiting for what takes seconds on an idle machine.
package journey

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

const (
	patience = 4 * time.Minute
	// Tick is the time between two looks.
	Tick = 300 * time.Millisecond
)

// Journey is a test in phases. Inside of a phase the embedded T is the phase's.
type Journey struct {
	*testing.T
	// Diagnose prints what a person would look at first when a phase has failed.
	Diagnose func()
	timings  []string
}

// New begins a journey on the cluster of KUBECONFIG, whose path it returns. The test is skipped unless E2E is 1.
func New(t *testing.T) (j *Journey, kubeconfig string) {
	t.Helper()
	kubeconfig = os.Getenv("KUBECONFIG")
	if os.Getenv("E2E") != "1" || kubeconfig == "" {
		t.Skip("needs a real node: run make e2e, or set E2E=1 and KUBECONFIG to that of `cluster up --real-node`")
	}
	return &Journey{T: t, Diagnose: func() {}}, kubeconfig
}

// Phase runs a part of the journey, notes how long it took, and ends the journey when it fails.
func (j *Journey) Phase(name string, do func()) {
	whole, begin := j.T, time.Now()
	passed := whole.Run(name, func(t *testing.T) {
		j.T = t
		defer func() {
			if t.Failed() {
				j.Diagnose()
			}
			j.T = whole
		}()
		do()
	})
	j.timings = append(j.timings, fmt.Sprintf("%6.1fs  %s", time.Since(begin).Seconds(), name))
	if !passed {
		whole.Fatalf("failed after\n%s", j.Timings())
	}
}

// Timings has a line for each phase so far.
func (j *Journey) Timings() string { return strings.Join(j.timings, "\n") }

// Eventually waits until check has nothing to say.
func (j *Journey) Eventually(what string, check func() error) {
	j.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(Tick) {
		if err = check(); err == nil {
			return
		}
	}
	j.Fatalf("%s: %v", what, err)
}
