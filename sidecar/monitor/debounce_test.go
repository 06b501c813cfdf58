package monitor

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// world is a monitor, its API server and its pool, with a clock that only the test moves.
type world struct {
	t          *rapid.T
	now        time.Time
	seen       Seen
	state      State
	wake       time.Time
	queued     bool
	working    bool
	looking    bool
	failing    bool // the API server refuses writes
	losing     bool // it takes them, and its answer does not arrive
	lastSeen   time.Time
	starts     []time.Time
	lastWrite  time.Time
	unanswered bool
}

const worldsDebounce = 3 * time.Second

func newWorld(t *rapid.T) *world {
	return &world{
		t: t, now: noon,
		seen:  Seen{Debounce: worldsDebounce, Monitoring: true, Service: true},
		state: State{LookDue: after(1000 * time.Hour)},
	}
}

// step is what the reconciler does with Next.
func (w *world) step(placed bool) bool {
	if placed {
		w.state.Job = Idle
	}
	state, d := Next(w.state, w.now, w.seen, placed, time.Second)
	differs := d.Pending != w.seen.Pending || d.InProgress != w.seen.InProgress
	if differs || d.LastEvent != w.seen.LastEvent && !d.Lazy {
		if !differs && w.now.Before(w.lastWrite.Add(time.Second)) {
			w.t.Fatalf("lastEvent alone is written %s after the last write", w.now.Sub(w.lastWrite))
		}
		w.state.Written = w.now
		if w.failing && !w.losing {
			w.wake = w.now.Add(100 * time.Millisecond)
			return false
		}
		w.checkOrder(d)
		w.seen.Pending, w.seen.InProgress, w.seen.LastEvent = d.Pending, d.InProgress, d.LastEvent
		w.lastWrite = w.now
		if w.failing {
			w.wake = w.now.Add(100 * time.Millisecond)
			return false
		}
		state.Written = w.now
	}
	w.state, w.wake = state, d.Wake
	w.queued = w.queued || d.Submit
	w.looking = w.looking || d.Look
	if d.Start {
		w.start()
	}
	return true
}

// checkOrder refuses changes of the status that the documentation does not know.
func (w *world) checkOrder(d Decision) {
	begins := d.InProgress && !w.seen.InProgress
	if begins && (d.Pending || d.LastEvent != "") && !w.state.Urgent {
		w.t.Fatalf("work begins with %+v", d)
	}
	if d.Pending != (d.LastEvent != "") {
		w.t.Fatalf("workPending and lastEvent disagree: %+v", d)
	}
	if w.working && !d.InProgress {
		w.t.Fatal("the status forgets running work")
	}
}

func (w *world) start() {
	if w.working {
		w.t.Fatal("work runs twice at once")
	}
	if !w.seen.InProgress {
		w.t.Fatal("work runs and the status does not say so")
	}
	w.working = true
	w.starts = append(w.starts, w.now)
}

func (w *world) finish() {
	w.working, w.state.Job, w.state.Ended = false, Idle, true
	w.step(false)
}

// crash replaces the process.
func (w *world) crash() {
	w.lastWrite = time.Time{} // a new process does not know when the old one wrote
	w.queued, w.working, w.looking = false, false, false
	w.state = State{LookDue: after(1000 * time.Hour)}
	w.step(false)
}

func (w *world) event() {
	w.state = w.state.Observe(w.now)
	w.lastSeen = w.now
	w.step(false)
	if !w.failing && !w.seen.Pending {
		w.t.Fatal("an event was handled and workPending is not persisted")
	}
	w.unanswered = w.failing && !w.seen.Pending
}

// place gives the waiting job its place in the pool.
func (w *world) place() {
	if w.queued {
		w.queued = false
		w.step(true)
	}
}

// run lets time pass, and does what is due on the way.
func (w *world) run(d time.Duration, places bool) {
	for end := w.now.Add(d); ; {
		if places {
			w.place()
		}
		if w.wake.IsZero() || w.wake.After(end) {
			w.now = end
			return
		}
		if w.wake.After(w.now) {
			w.now = w.wake
		}
		w.wake = time.Time{}
		w.step(false)
	}
}

func TestNoEventIsLostAndNoneIsAnsweredTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		millis := rapid.IntRange(0, 4000)
		t.Repeat(map[string]func(*rapid.T){
			"event": func(*rapid.T) { w.event() },
			"storm": func(t *rapid.T) {
				for range rapid.IntRange(2, 20).Draw(t, "events") {
					w.run(time.Duration(rapid.IntRange(0, 300).Draw(t, "pause"))*time.Millisecond, true)
					w.event()
				}
			},
			"time passes": func(t *rapid.T) { w.run(time.Duration(millis.Draw(t, "ms"))*time.Millisecond, true) },
			"time passes while the pool is full": func(t *rapid.T) {
				w.run(time.Duration(millis.Draw(t, "ms"))*time.Millisecond, false)
			},
			"work ends": func(*rapid.T) {
				if w.working {
					w.finish()
				}
			},
			"the API server has hiccups": func(t *rapid.T) {
				w.failing, w.losing = true, rapid.Bool().Draw(t, "answer lost")
				w.run(time.Duration(millis.Draw(t, "ms"))*time.Millisecond, true)
				w.failing = false
			},
			"crash": func(*rapid.T) {
				if w.unanswered {
					return // an event that was never persisted: the look at the start is for that
				}
				w.crash()
			},
		})
		w.failing = false
		w.step(false)
		if w.working {
			w.finish()
		}
		w.run(time.Minute, true)
		for w.working { // an interrupted run, and then that of the last event
			w.finish()
			w.run(time.Minute, true)
		}
		before := len(w.starts)
		w.event()
		last := w.now
		w.run(time.Minute, true)
		if len(w.starts) != before+1 {
			t.Fatalf("%d works after the last event", len(w.starts)-before)
		}
		if start := w.starts[before]; start.Before(last.Add(worldsDebounce)) || start.After(last.Add(worldsDebounce+time.Millisecond)) {
			t.Fatalf("work starts %s after the last event", start.Sub(last))
		}
		w.finish()
		w.run(time.Minute, true)
		if len(w.starts) != before+1 || w.seen.Pending || w.seen.InProgress || w.seen.LastEvent != "" {
			t.Fatalf("not idle in the end: %+v", w.seen)
		}
	})
}

// Whatever happens to processes, the last event has a later work, and what runs after a restart does not wait again for
// longer than the debounce.
func TestEventsOutliveProcesses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		events := rapid.IntRange(1, 12).Draw(t, "events")
		for range events {
			w.run(time.Duration(rapid.IntRange(0, 2900).Draw(t, "pause"))*time.Millisecond, true)
			w.event()
		}
		last := w.lastSeen
		for range rapid.IntRange(1, 5).Draw(t, "crashes") {
			w.run(time.Duration(rapid.IntRange(0, 2000).Draw(t, "until the crash"))*time.Millisecond, true)
			w.crash()
		}
		crashed := w.now
		w.run(time.Minute, true)
		if len(w.starts) == 0 || w.starts[len(w.starts)-1].Before(last) {
			t.Fatalf("the last event has no work: %v", w.starts)
		}
		bound := crashed
		if deadline := last.Add(worldsDebounce + time.Millisecond); deadline.After(bound) {
			bound = deadline
		}
		if w.starts[0].After(bound) {
			t.Fatalf("after the restart it took %s to start", w.starts[0].Sub(crashed))
		}
	})
}
