package faults_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/datapower-operator/datapower-operator/test/faults/cut"
)

// workers run crashes at once. A crash mostly waits.
const workers = 6

// promptly is how long a new process may take: less than the wait before a failed upgrade is tried again, which would
// hide that a process left things half-done.
const promptly = 8 * time.Second

// row is one crash of the table.
type row struct {
	k    int
	mode cut.Mode
	outcome
	err error
}

func TestACrashAtAnyWriteEndsInTheStateOfAnUndisturbedRun(t *testing.T) {
	needAPIServer(t)
	for _, s := range scenarios() {
		t.Run(s.title, func(t *testing.T) { crashEverywhere(t, s) })
	}
}

func crashEverywhere(t *testing.T, s scenario) {
	reference, err := newTrial(t.Context(), s)
	require.NoError(t, err)
	want, requests, err := reference.reference()
	require.NoError(t, err)
	require.Empty(t, want.check(), "the reference itself must be right")
	for i, r := range requests {
		t.Logf("%2d %s", i+1, strings.ReplaceAll(r.String(), reference.namespace, "NAMESPACE"))
	}
	rows := crashes(t.Context(), s, want, len(requests))
	var slowest time.Duration
	reached := 0
	for _, r := range rows {
		slowest = max(slowest, r.recovery)
		if r.at != "" {
			reached++
		}
	}
	t.Logf("%d writes, %d crashes, slowest recovery %s", len(requests), reached, slowest.Round(time.Millisecond))
	assert.Equal(t, len(rows), reached, "every crash must happen")
	assert.Empty(t, table(s, rows))
}

// crashes runs every crash of a scenario with n writes. A write that took effect just before the end and the next one
// that was never sent leave the same state, so the sample leaves out the second of the two, and for large releases
// two crashes of three.
func crashes(ctx context.Context, s scenario, want *snapshot, n int) []row {
	rows := []row{{k: 1, mode: cut.NeverSent}}
	step := 1
	if s.large && !full {
		step = 3
	}
	for k := 1; k <= n; k += step {
		rows = append(rows, row{k: k, mode: cut.AnswerLost})
		if full && k > 1 {
			rows = append(rows, row{k: k, mode: cut.NeverSent})
		}
	}
	var group sync.WaitGroup
	slots := make(chan struct{}, concurrency(s))
	for i := range rows {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			rows[i].run(ctx, s, want)
		})
	}
	group.Wait()
	return rows
}

// concurrency is how many crashes of a scenario run at once.
func concurrency(s scenario) int {
	if s.large {
		return 2
	}
	return workers
}

func (r *row) run(ctx context.Context, s scenario, want *snapshot) {
	ctx, cancel := context.WithTimeout(ctx, 3*patience)
	defer cancel()
	t, err := newTrial(ctx, s)
	if err == nil {
		r.outcome, err = t.crash(r.k, r.mode, want)
		r.at = strings.ReplaceAll(r.at, t.namespace, "NAMESPACE")
	}
	r.err = err
}

// table lists the crashes that did not end well.
func table(s scenario, rows []row) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		problems := r.differences
		if r.err != nil {
			problems = append(problems, r.err.Error())
		}
		if len(problems) == 0 && r.recovery > promptly && !s.large {
			problems = append(problems, fmt.Sprintf("recovery took %s", r.recovery.Round(time.Millisecond)))
		}
		for _, p := range problems {
			_, _ = fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", s.title, r.k, r.at, r.mode, p)
		}
	}
	_ = w.Flush()
	return out.String()
}
