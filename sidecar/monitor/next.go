package monitor

import (
	"time"
)

// eventTimeFormat is RFC 3339 with milliseconds, in UTC.
const eventTimeFormat = "2006-01-02T15:04:05.000Z07:00"

// Seen is what a step sees of the world: the spec, and the part of the persisted status that decides.
type Seen struct {
	// Debounce is how long pods must be quiet before work starts.
	Debounce time.Duration
	// Monitoring is spec.monitorGatewayPeering.
	Monitoring bool
	// Service tells whether the DataPowerService exists and stays.
	Service bool
	// Pending, InProgress and LastEvent are the status fields of these names, as persisted.
	Pending, InProgress bool
	LastEvent           string
	// OpenResets tells whether the persisted journal has entries.
	OpenResets bool
}

// Job is what a monitor's goroutine in the pool is doing.
type Job int

// Jobs. A monitor has at most one.
const (
	// Idle: no goroutine.
	Idle Job = iota
	// Queued: work waits for a place in the pool.
	Queued
	// Working: work runs.
	Working
)

// State is what a monitor's memory holds between two steps. The zero value is that of a process that has just started:
// everything that matters is found again in what is persisted.
type State struct {
	// Event is the latest pod event that no work has answered yet; zero when there is none. First is the first of them.
	Event, First time.Time
	// Restored tells that Event comes from the persisted status: the process that saw it is dead.
	Restored bool
	// Written is the time of the last status write.
	Written time.Time
	// Job is what the monitor's goroutine does. Finishing tells that the work only finishes what was begun, because
	// monitoring is off.
	Job       Job
	Finishing bool
	// Ended tells that work has ended and that this is not persisted yet.
	Ended bool
	// Urgent asks for work without an event: a look found stale peers, or resets are open.
	Urgent bool
	// Looking tells that a look runs or waits for a place. LookDue is when the next one is due.
	Looking bool
	LookDue time.Time
}

// Decision is what a step comes to.
type Decision struct {
	// Pending, InProgress and LastEvent are the status that is wanted. Lazy tells that a difference of LastEvent alone
	// need not be written yet.
	Pending, InProgress bool
	LastEvent           string
	Lazy                bool
	// Submit asks for a place in the pool for work, Look for one for a look.
	Submit, Look bool
	// Start begins work. It is set only for a step that has a place, and holds once the status is written.
	Start bool
	// Cancel ends the running work.
	Cancel bool
	// Wake is when to step again if nothing happens; zero when only events matter.
	Wake time.Time
	// Late is how long after its deadline a wait was found to be over; negative when none was.
	Late time.Duration
}

// Next is the whole debouncer: it maps what is remembered and seen to what is to be done. placed tells that the step
// runs in a place of the pool, which it gives back unless work starts. lazily is how often an event time may be written.
//
// The caller writes the status, then keeps the returned state, then acts. When the write fails it keeps the old state.
func Next(s State, now time.Time, seen Seen, placed bool, lazily time.Duration) (State, Decision) {
	if placed {
		s.Job = Idle
	}
	s = recall(s, now, seen)
	d := Decision{Late: -1}
	if !seen.Service {
		return withoutService(s, seen)
	}
	s.Ended = s.Ended && seen.InProgress
	s.Urgent = s.Urgent && (seen.Monitoring || seen.OpenResets)
	d.Cancel = s.Job == Working && !seen.Monitoring && !s.Finishing
	interrupted := seen.InProgress && s.Job != Working && !s.Ended
	deadline := s.Event.Add(seen.Debounce)
	waitOver := !s.Event.IsZero() && !now.Before(deadline)
	due := waitOver || interrupted || s.Urgent && s.Event.IsZero()

	switch {
	case due && s.Job == Idle && placed:
		d.Start = true
		s.Finishing = !seen.Monitoring && seen.OpenResets
		s.Job, s.Urgent, s.Ended = Working, false, false
		if waitOver {
			s.Event, s.First, s.Restored = time.Time{}, time.Time{}, false
		}
	case due && s.Job == Idle:
		d.Submit, s.Job = true, Queued
		if waitOver && !s.Restored && !s.Ended {
			d.Late = now.Sub(deadline)
		}
	case !due && s.Event.IsZero() && s.Job == Idle && !s.Looking && !now.Before(s.LookDue):
		s, d = lookOrFinish(s, d, seen)
	}

	d.Pending, d.LastEvent = !s.Event.IsZero(), formatEvent(s.Event)
	d.InProgress = s.Job == Working || interrupted
	d.Lazy = now.Before(s.Written.Add(lazily))
	d.Wake = wake(s, d, seen, lazily)
	return s, d
}

// recall takes over what a dead process, or somebody's edit of the status, left waiting. A time that cannot be read or
// has not come yet counts as now.
func recall(s State, now time.Time, seen Seen) State {
	if !seen.Pending || !s.Event.IsZero() {
		return s
	}
	at, err := time.Parse(time.RFC3339, seen.LastEvent)
	if err != nil || at.After(now) {
		at = now
	}
	s.Event, s.First, s.Restored = at.UTC(), at.UTC(), true
	return s
}

// withoutService drops what waits: there is nothing left to watch. Running work is cancelled, and ends on its own.
func withoutService(s State, seen Seen) (State, Decision) {
	d := Decision{Late: -1, Cancel: s.Job == Working, InProgress: s.Job == Working}
	s.Event, s.First, s.Restored, s.Urgent, s.LookDue = time.Time{}, time.Time{}, false, false, time.Time{}
	return s, d
}

// lookOrFinish does what is due without any event: open resets need work, else a look is enough.
func lookOrFinish(s State, d Decision, seen Seen) (State, Decision) {
	switch {
	case seen.OpenResets:
		d.Submit, s.Job, s.Urgent = true, Queued, true
	case seen.Monitoring:
		d.Look, s.Looking = true, true
	}
	return s, d
}

// wake is the earliest moment at which time alone changes the decision.
func wake(s State, d Decision, seen Seen, lazily time.Duration) time.Time {
	var at time.Time
	consider := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	alone := d.Pending == seen.Pending && d.InProgress == seen.InProgress
	if d.Lazy && alone && d.LastEvent != seen.LastEvent {
		consider(s.Written.Add(lazily))
	}
	switch {
	case s.Job != Idle:
	case !s.Event.IsZero():
		consider(s.Event.Add(seen.Debounce))
	case (seen.Monitoring || seen.OpenResets) && !s.Looking:
		consider(s.LookDue)
	}
	return at
}

// Observe adds a pod event to the state. Its time is rounded up to what is persisted of it, so that a wait is never
// shorter after a restart than before it.
func (s State) Observe(at time.Time) State {
	if rounded := at.Truncate(time.Millisecond); rounded.Before(at) {
		at = rounded.Add(time.Millisecond)
	}
	if s.Event.IsZero() {
		s.First = at
	}
	if at.After(s.Event) {
		s.Event, s.Restored = at, false
	}
	return s
}

func formatEvent(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(eventTimeFormat)
}
