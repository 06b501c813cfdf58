package faults_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fleetSize is how many DataPowerServices are installed and upgraded at once.
const fleetSize = 50

const (
	// seedVariable repeats the moments of an earlier run.
	seedVariable = "FAULTS_SEED"
	// roundsVariable is a number of rounds of one's own.
	roundsVariable = "FAULTS_ROUNDS"
)

// phase is one thing that happens to all services at once.
type phase struct {
	name string
	act  func(*fleet)
}

var phases = []phase{
	{name: "install", act: (*fleet).create},
	{name: "upgrade", act: func(f *fleet) { f.paint("blue") }},
	{name: "uninstall", act: (*fleet).remove},
}

func TestKillingTheProgramAtAnyMomentLosesNothing(t *testing.T) {
	w := newWorld(t)
	rounds := roundsOf(t, 2, 20)
	random := seeded(t)
	usual := undisturbed(w)
	t.Logf("undisturbed: install of %d %s, upgrade %s, uninstall %s", fleetSize, usual["install"], usual["upgrade"], usual["uninstall"])
	kills, interrupted := 0, 0
	for round := range rounds {
		f := w.fleet(fmt.Sprintf("kill-%d", round), fleetSize)
		for _, ph := range phases {
			delay := time.Duration(random.Float64() * float64(usual[ph.name]))
			killed := strike(f, ph, delay)
			kills++
			if killed {
				interrupted++
			} else {
				usual[ph.name] = delay // this machine is faster by now
			}
		}
	}
	t.Logf("%d kills, %d of them while work was left", kills, interrupted)
	assert.Positive(t, interrupted)
}

// undisturbed measures how long each phase takes; the moments to kill are drawn from that.
func undisturbed(w *world) map[string]time.Duration {
	out := map[string]time.Duration{}
	f := w.fleet("undisturbed", fleetSize)
	p := w.start(f.namespace)
	for _, ph := range phases {
		begin := time.Now()
		ph.act(f)
		f.complete(p, "undisturbed "+ph.name)
		out[ph.name] = time.Since(begin).Round(100 * time.Millisecond)
	}
	p.kill()
	return out
}

// strike runs a phase, kills the program after delay, and starts it again. It tells whether the kill came before the
// phase was over.
func strike(f *fleet, ph phase, delay time.Duration) bool {
	f.Helper()
	p := f.start(f.namespace)
	time.AfterFunc(delay, p.kill)
	ph.act(f)
	<-p.ended
	left := len(f.problems())
	p = f.start(f.namespace)
	took := f.complete(p, fmt.Sprintf("%s, killed after %s", ph.name, delay))
	f.Logf("%s %s: killed after %s with %d things to do, all right %s after the restart, %d revisions", f.namespace, ph.name,
		delay.Round(time.Millisecond), left, took.Round(time.Millisecond), f.revisions())
	p.kill()
	return left > 0
}

// roundsOf says how often a test with chance in it is repeated.
func roundsOf(t *testing.T, usually, fully int) int {
	t.Helper()
	if text := os.Getenv(roundsVariable); text != "" {
		given, err := strconv.Atoi(text)
		require.NoError(t, err, roundsVariable)
		return given
	}
	if full {
		return fully
	}
	return usually
}

func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv(seedVariable); text != "" {
		given, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, seedVariable)
		seed = given
	}
	t.Logf("%s=%d repeats these moments, as parts of what an undisturbed run takes", seedVariable, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func TestASoftStopInTheMiddleOfInstallsLeavesNothingPending(t *testing.T) {
	w := newWorld(t)
	random := seeded(t)
	rounds := roundsOf(t, 1, 10)
	for round := range rounds {
		f := w.fleet(fmt.Sprintf("stop-%d", round), fleetSize)
		f.create()
		p := f.start(f.namespace)
		f.waitForRevisions(1)
		delay := time.Duration(random.IntN(3000)) * time.Millisecond
		time.Sleep(delay)
		before, begin := f.revisions(), time.Now()
		code, err := p.terminate(patience)
		require.NoError(t, err, p.tail())
		took := time.Since(begin)
		assert.Zero(t, code, "exit code; the log ends with\n%s", p.tail())
		assert.Empty(t, f.unfinished(), "after a soft stop no revision is under way")
		t.Logf("stopped %s after the first revision, with %d of %d; it took %s and %d more were begun", delay, before,
			fleetSize, took.Round(time.Millisecond), f.revisions()-before)
		p = f.start(f.namespace)
		f.complete(p, "after a soft stop")
		f.remove()
		f.complete(p, "clean up")
		p.kill()
	}
}
