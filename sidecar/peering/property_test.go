package peering

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

// interval is the wait between two looks.
const interval = time.Second

// scenario is what a property draws.
type scenario struct {
	Faults []fault // of the pods at first, in their order
	// Changes happen one after the other, before the work and during it.
	Changes []change
	CrashAt int
	After   bool
	// Relink is how long links take to come back after a reset.
	Relink time.Duration
	// UserOff is the position of a pod whose peering its user disabled, -1 for none.
	UserOff int
}

// change is what happens to a pod.
type change struct {
	Pod  int
	Kind string
	// At is the time after the start of the work; changes before have none.
	At time.Duration
	// Pause is how long a change takes that takes its time.
	Pause time.Duration
}

// Kinds of changes.
const (
	replaced  = "replaced" // by a pod at another address
	sameIP    = "replaced at its address"
	reused    = "replaced at an address that was used once"
	scaled    = "deleted"
	lingering = "terminating, then replaced"
)

func drawScenario(t *rapid.T) scenario {
	faults := []fault{fine, fine, fine, fine, actionless, hanging, failing, lying, refusing, lossy, stubborn, sealed}
	s := scenario{UserOff: -1}
	s.Faults = rapid.SliceOfN(rapid.SampledFrom(faults), 1, 5).Draw(t, "faults")
	kinds := []string{replaced, replaced, sameIP, reused, scaled, lingering}
	count := rapid.IntRange(0, 5).Draw(t, "changes")
	for range count {
		s.Changes = append(s.Changes, change{
			Pod: rapid.IntRange(0, len(s.Faults)-1).Draw(t, "pod"), Kind: rapid.SampledFrom(kinds).Draw(t, "kind"),
			At:    time.Duration(rapid.SampledFrom([]int{0, 0, 0, 5, 100, 400, 1100, 3000}).Draw(t, "at")) * time.Millisecond,
			Pause: time.Duration(rapid.SampledFrom([]int{0, 200, 5000}).Draw(t, "pause")) * time.Millisecond,
		})
	}
	s.CrashAt = rapid.IntRange(0, 12).Draw(t, "crash at")
	s.Relink = time.Duration(rapid.SampledFrom([]int{300, 2500, 15000}).Draw(t, "relink")) * time.Millisecond
	s.After = rapid.Bool().Draw(t, "the write is done")
	if rapid.IntRange(0, 5).Draw(t, "user") == 0 {
		s.UserOff = rapid.IntRange(0, len(s.Faults)-1).Draw(t, "user's")
		if f := s.Faults[s.UserOff]; f == hanging || f == failing {
			s.UserOff = -1 // nobody can know that it is no member
		}
	}
	return s
}

// build makes the world of a scenario.
func (s scenario) build() *world {
	w := &world{begin: time.Now(), gateways: map[types.UID]*modelGateway{}, crashAt: s.CrashAt, after: s.After, relink: s.Relink}
	number := 0
	var used []string
	promised := map[string]bool{} // to pods without an address yet
	fresh := func() string { number++; return fmt.Sprintf("10.0.0.%d", number) }
	begin := func(w *world, i int, ip string) {
		number++
		pod := Pod{
			Name: fmt.Sprintf("gw-%d", i), UID: types.UID(fmt.Sprintf("%d-%d", i, number)), IP: ip,
			Created: time.Now(), Ready: true, Running: true,
		}
		w.pods = append(w.pods, pod)
		w.start(pod, s.Faults[i])
	}
	find := func(w *world, i int) int {
		return slices.IndexFunc(w.pods, func(pod Pod) bool { return pod.Name == fmt.Sprintf("gw-%d", i) })
	}
	remove := func(w *world, i int) (Pod, bool) {
		at := find(w, i)
		if at < 0 || w.pods[at].IP == "" || w.pods[at].Terminating {
			return Pod{}, false
		}
		pod := w.pods[at]
		w.pods = slices.Delete(w.pods, at, at+1)
		w.stop(pod.UID)
		used = append(used, pod.IP)
		return pod, true
	}
	later := func(w *world, after time.Duration, do func(*world)) {
		at := time.Since(w.begin) + after
		place := slices.IndexFunc(w.events, func(e event) bool { return e.at > at })
		if place < 0 {
			place = len(w.events)
		}
		w.events = slices.Insert(w.events, place, event{at, do})
	}
	// pending makes a pod without an address, which gets one after a while.
	pending := func(w *world, i int, ip string, pause time.Duration) {
		if pause == 0 {
			begin(w, i, ip)
			return
		}
		promised[ip] = true
		uid := types.UID(fmt.Sprintf("pending-%d-%s", i, ip))
		w.pods = append(w.pods, Pod{Name: fmt.Sprintf("gw-%d", i), UID: uid})
		later(w, pause, func(w *world) {
			w.pods = slices.DeleteFunc(w.pods, func(pod Pod) bool { return pod.UID == uid })
			delete(promised, ip)
			begin(w, i, ip)
		})
	}
	apply := func(w *world, c change) {
		switch c.Kind {
		case lingering:
			at := find(w, c.Pod)
			if at < 0 || w.pods[at].IP == "" || w.pods[at].Terminating {
				return
			}
			uid := w.pods[at].UID
			w.pods[at].Terminating = true
			later(w, c.Pause, func(w *world) {
				w.pods = slices.DeleteFunc(w.pods, func(pod Pod) bool { return pod.UID == uid })
				w.stop(uid)
				begin(w, c.Pod, fresh())
			})
		case scaled:
			remove(w, c.Pod)
		default:
			pod, removed := remove(w, c.Pod)
			if !removed {
				return
			}
			ip := fresh()
			if c.Kind == sameIP && !promised[pod.IP] {
				ip = pod.IP
			} else if c.Kind == reused && w.byAddress(used[0]) == nil && !promised[used[0]] {
				ip = used[0]
			}
			pending(w, c.Pod, ip, c.Pause)
		}
	}
	for i := range s.Faults {
		begin(w, i, fresh())
	}
	if s.UserOff >= 0 {
		g := w.gateways[w.pods[s.UserOff].UID]
		g.disabled, g.userOff = true, true
		for _, other := range w.gateways {
			delete(other.known, g.pod.IP)
		}
	}
	for _, c := range s.Changes {
		if c.At == 0 {
			apply(w, c)
			continue
		}
		later(w, c.At, func(w *world) { apply(w, c) })
	}
	return w
}

// play has processes work until all is quiet, and returns what was not as promised.
func (s scenario) play() []string {
	w := s.build()
	var report Report
	for quiet := 0; quiet < 3; quiet++ {
		ctx, cancel := context.WithCancel(context.Background())
		w.mutex.Lock()
		w.die = cancel
		open := slices.Clone(w.open)
		p := process{w, w.generation}
		w.mutex.Unlock()
		worker := New(Options{Pods: p, Gateways: p})
		report = worker.Work(ctx, Service{Namespace: "n", Name: "s", RecoveryInterval: interval, Open: open}, p)
		cancel()
		w.checkReport(p, report)
		time.Sleep(3 * time.Second) // until the next event or regular look
		// Links that come back late may bring an address that is gone back with them: the looks that follow tell.
		if w.generation != p.generation || len(w.events) > 0 || w.linksToCome() {
			quiet = 0
		}
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.tick()
	if len(w.events) > 0 {
		w.violated("the scenario is not at its end")
	}
	reported := map[string]bool{}
	for _, pod := range report.Pods {
		reported[pod.Name] = len(pod.Problems) > 0
	}
	for _, g := range w.sorted() {
		if g.disabled && !g.userOff {
			w.violated("%s is left disabled", g.pod.Name)
		}
		stale := w.stale(g)
		if len(stale) > 0 && g.fault.healable() && !g.disabled {
			w.violated("%s still lists %v: %+v", g.pod.Name, stale, report)
		}
		if len(stale) > 0 && !g.disabled && !reported[g.pod.Name] {
			w.violated("%s still lists %v, and the report says nothing of it", g.pod.Name, stale)
		}
	}
	if len(w.open) > 0 {
		w.violated("the journal still has %v", w.open)
	}
	if len(w.broken) > 0 {
		return append(slices.Clone(w.broken), w.history...)
	}
	return nil
}

func TestPromisesOfTheWork(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawScenario(rt)
		var broken []string
		synctest.Test(t, func(*testing.T) { broken = s.play() })
		if len(broken) > 0 {
			rt.Fatalf("%#v\n%v", s, strings.Join(broken, "\n"))
		}
	})
}

// Scenarios that broke a promise once, as the property found them.
func TestScenariosThatOnceBrokeAPromise(t *testing.T) {
	const ms = time.Millisecond
	for name, s := range map[string]scenario{
		"a gateway that still links must end, and the last two others would have been reset": {
			Faults:  []fault{fine, fine, fine},
			Changes: []change{{0, replaced, 1100 * ms, 0}, {2, lingering, 5 * ms, 5000 * ms}, {1, replaced, 0, 0}}, Relink: 2500 * ms,
		},
		"a gateway that still links must end, and four others are enough": {
			Faults:  []fault{fine, fine, fine, fine, fine},
			Changes: []change{{4, replaced, 0, 0}, {1, lingering, 400 * ms, 5000 * ms}}, Relink: 2500 * ms,
		},
		"a gateway is linked to the new primary only after it was enabled late": {
			Faults:  []fault{fine, fine, stubborn, fine},
			Changes: []change{{0, scaled, 0, 0}, {1, replaced, 3000 * ms, 0}}, Relink: 2500 * ms,
		},
		"the next process does not know who was reset": {
			Faults:  []fault{fine, fine, fine, fine, fine},
			Changes: []change{{2, replaced, 0, 200 * ms}}, CrashAt: 3, After: true, Relink: 15000 * ms,
		},
		"a gateway that was enabled late has another stale peer": {
			Faults:  []fault{fine, failing, stubborn},
			Changes: []change{{1, replaced, 3000 * ms, 0}, {0, replaced, 0, 0}, {0, replaced, 0, 0}}, Relink: 300 * ms,
		},
		"a gateway cannot be enabled, and others can be reset by disabling only": {
			Faults:  []fault{fine, fine, fine, sealed, sealed},
			Changes: []change{{0, replaced, 1100 * ms, 0}}, CrashAt: 3, Relink: 2500 * ms,
		},
		"a pod has the stale address for a moment, which then is stale again": {
			Faults: []fault{fine, failing, refusing, actionless, actionless},
			Changes: []change{{2, replaced, 1100 * ms, 0}, {4, replaced, 100 * ms, 200 * ms}, {2, reused, 100 * ms, 0}, {2, replaced, 0, 0},
				{2, sameIP, 0, 0}}, CrashAt: 9, Relink: 15000 * ms,
		},
		"a dead address comes back with a link that was late": {
			Faults:  []fault{fine, fine},
			Changes: []change{{0, replaced, 0, 0}, {0, replaced, 1100 * ms, 5000 * ms}}, Relink: 15000 * ms,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var broken []string
			synctest.Test(t, func(*testing.T) { s.UserOff = -1; broken = s.play() })
			require.Empty(t, broken)
		})
	}
}

// The process dies at each write of a work that uses both strategies.
func TestDeathAtEachWrite(t *testing.T) {
	for _, after := range []bool{false, true} {
		for at := range 20 {
			s := scenario{
				Faults: []fault{fine, actionless, fine}, Changes: []change{{Pod: 2, Kind: replaced}}, CrashAt: at + 1, After: after, UserOff: -1,
			}
			var broken []string
			synctest.Test(t, func(*testing.T) { broken = s.play() })
			require.Empty(t, broken, "write %d, done: %v", at+1, after)
		}
	}
}

// A gateway that hangs holds the others up once, not at every look.
func TestAHangingGatewayHoldsUpOnce(t *testing.T) {
	s := scenario{Faults: []fault{fine, fine, hanging, fine}, Changes: []change{{Pod: 3, Kind: replaced}}, UserOff: -1}
	var took time.Duration
	var left int
	synctest.Test(t, func(t *testing.T) {
		w := s.build()
		w.die = func() {}
		p := process{w, 0}
		report := New(Options{Pods: p, Gateways: p}).Work(t.Context(), Service{}, p)
		took = report.Ended.Sub(report.Began)
		left = len(w.stale(w.sorted()[0])) + len(w.stale(w.sorted()[1]))
	})
	assert.Zero(t, left)
	assert.Less(t, took, 30*time.Second, "of the clock that the test has for itself")
}

// A look that began before a reset says nothing about the links after it.
func TestAnOldLookIsNoView(t *testing.T) {
	pod := podsOf("10.0.0.1")[0]
	r := New(Options{}).newRun(t.Context(), Service{}, nil)
	defer r.close()
	r.pods, r.epoch = []Pod{pod}, 1
	r.take(looked{session: sessionOf(pod), view: rowsOf("10.0.0.1 primary")})
	assert.Empty(t, r.views)
	r.take(looked{session: sessionOf(pod), view: rowsOf("10.0.0.1 primary"), epoch: 1})
	assert.Len(t, r.views, 1)
}

// Who is given up is named, also when it lists nothing that is wrong: a gateway that has chosen itself, for example.
func TestAMemberWithoutALinkToThePrimaryIsReported(t *testing.T) {
	r := New(Options{}).newRun(t.Context(), Service{}, nil)
	defer r.close()
	r.pods = podsOf("10.0.0.1", "10.0.0.2", "10.0.0.3")
	two := "10.0.0.1 primary, 10.0.0.2"
	r.views = viewsOf(two, two, "10.0.0.3 primary")
	r.last = r.views
	r.decision = Decide(r.state())
	report := r.finish(t.Context())
	assert.Empty(t, report.Pods[0].Problems)
	assert.Empty(t, report.Pods[1].Problems)
	require.Len(t, report.Pods[2].Problems, 1)
	assert.Equal(t, ReasonLinkDown, report.Pods[2].Problems[0].Reason)
	assert.Equal(t, "no link to the primary", report.Pods[2].Problems[0].Message)
	assert.Equal(t, ResultFailed, report.Result())
}
