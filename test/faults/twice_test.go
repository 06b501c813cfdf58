package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/datapower-operator/datapower-operator/test/faults/cut"
)

// sampledPairs is how many double crashes of each scenario run by default.
const sampledPairs = 4

// A process that repairs what another one left may die as well. Its successor finds the traces of both.
func TestACrashDuringTheRecoveryFromACrashEndsInTheSameState(t *testing.T) {
	needAPIServer(t)
	random := seeded(t)
	for _, s := range scenarios() {
		if s.large && !full {
			continue // two of their crashes take longer than all others together
		}
		t.Run(s.title, func(t *testing.T) {
			reference, err := newTrial(t.Context(), s)
			require.NoError(t, err)
			want, requests, err := reference.reference()
			require.NoError(t, err)
			require.Empty(t, want.check(), "the reference itself must be right")
			rows := doubleCrashes(t.Context(), s, want, pairsOf(s, len(requests), random))
			twice := 0
			for _, r := range rows {
				if strings.Contains(r.at, ", then ") {
					twice++
				}
			}
			t.Logf("%d crashes, %d of them twice", len(rows), twice)
			assert.Empty(t, table(s, rows))
		})
	}
}

// pair are the writes at which the first and the second process die; a second of 0 means each one in turn, until the
// recovery has no more writes.
type pair struct{ k, second int }

// pairsOf are the double crashes of a scenario with n writes: by default some, in full all, of large releases for each
// first crash one second.
func pairsOf(s scenario, n int, random *rand.Rand) (pairs []pair) {
	if !full {
		for range sampledPairs {
			pairs = append(pairs, pair{k: 1 + random.IntN(n), second: 1 + random.IntN(n/2)})
		}
		return pairs
	}
	for k := 1; k <= n; k++ {
		p := pair{k: k}
		if s.large {
			p.second = 1 + random.IntN(n/2)
		}
		pairs = append(pairs, p)
	}
	return pairs
}

func doubleCrashes(ctx context.Context, s scenario, want *snapshot, pairs []pair) []row {
	var (
		mu    sync.Mutex
		rows  []row
		group sync.WaitGroup
	)
	slots := make(chan struct{}, concurrency(s))
	for _, p := range pairs {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			for second := max(1, p.second); ; second++ {
				r := row{k: p.k, mode: cut.AnswerLost}
				died := r.runTwice(ctx, s, second, want)
				mu.Lock()
				rows = append(rows, r)
				mu.Unlock()
				if p.second > 0 || !died || r.err != nil {
					return
				}
			}
		})
	}
	group.Wait()
	return rows
}

// runTwice tells whether the second process died, too.
func (r *row) runTwice(ctx context.Context, s scenario, second int, want *snapshot) (died bool) {
	ctx, cancel := context.WithTimeout(ctx, 4*patience)
	defer cancel()
	t, err := newTrial(ctx, s)
	if err == nil {
		r.outcome, died, err = t.crashTwice(r.k, second, want)
		r.at = strings.ReplaceAll(r.at, t.namespace, "NAMESPACE")
	}
	r.err = err
	return died
}

// crashTwice runs the scenario with a process that dies at its k-th mutating request, one after it that dies at its own
// second-th, and a third. The second may be done before it comes to that.
func (t *trial) crashTwice(k, second int, want *snapshot) (out outcome, died bool, err error) {
	first, err := t.start()
	if err != nil {
		return out, false, err
	}
	defer first.stop()
	if err := t.prepare(first); err != nil {
		return out, false, fmt.Errorf("prepare: %w", err)
	}
	first.Arm(k, cut.AnswerLost)
	if err := t.change(); err != nil {
		return out, false, err
	}
	select {
	case <-first.Dead():
		out.at = first.Log()[k-1].String()
	case <-time.After(patience / 3):
		return out, false, fmt.Errorf("%w: the first process dies at write %d", errNever, k)
	}
	first.stop()
	repairer, err := t.doomed(second, cut.AnswerLost)
	if err != nil {
		return out, false, err
	}
	defer repairer.stop()
	if died, err = t.diesOrEnds(repairer, want); err != nil {
		return out, died, err
	}
	if died {
		out.at += fmt.Sprintf(", then %d: %s", second, repairer.Log()[second-1])
	}
	repairer.stop()
	return out, died, t.recover(&out, want, first.Log(), repairer.Log())
}

// diesOrEnds waits until the process is dead, or until all is as it is to be and it asks nothing any more.
func (t *trial) diesOrEnds(op *operator, want *snapshot) (died bool, err error) {
	count, since := -1, time.Now()
	err = t.until(op, "the second process dies or ends", func() (bool, error) {
		select {
		case <-op.Dead():
			died = true
			return true, nil
		default:
		}
		if n := op.Count(); n != count {
			count, since = n, time.Now()
		}
		if time.Since(since) < quiet {
			return false, nil
		}
		wrong, err := t.compare(want)
		return len(wrong) == 0, err
	})
	return died, err
}
