package monitor

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func after(d time.Duration) time.Time { return noon.Add(d) }

func text(d time.Duration) string { return formatEvent(after(d)) }

// quietLook keeps looks out of the way.
var quietLook = after(time.Hour)

func TestNext(t *testing.T) {
	const second = time.Second
	base := Seen{Debounce: 10 * second, Monitoring: true, Service: true}
	with := func(change func(*Seen)) Seen {
		seen := base
		change(&seen)
		return seen
	}
	pending := func(last time.Duration) Seen {
		return with(func(s *Seen) { s.Pending, s.LastEvent = true, text(last) })
	}
	tests := map[string]struct {
		state  State
		now    time.Duration
		seen   Seen
		placed bool
		want   Decision
		job    Job
	}{
		"nothing happens while nothing happens": {
			state: State{LookDue: quietLook}, seen: base, want: Decision{Wake: quietLook},
		},
		"a new process looks first": {seen: base, want: Decision{Look: true}},
		"without monitoring nobody looks": {
			seen: with(func(s *Seen) { s.Monitoring = false }), want: Decision{},
		},
		"an event is written at once and waited for": {
			state: State{LookDue: quietLook}.Observe(noon), seen: base,
			want: Decision{Pending: true, LastEvent: text(0), Wake: after(10 * second)},
		},
		"a further event restarts the wait and is written later": {
			state: State{LookDue: quietLook, Written: noon}.Observe(noon).Observe(after(400 * time.Millisecond)),
			now:   400 * time.Millisecond, seen: pending(0),
			want: Decision{Pending: true, LastEvent: text(400 * time.Millisecond), Lazy: true, Wake: after(second)},
		},
		"a second later it is written": {
			state: State{LookDue: quietLook, Written: noon}.Observe(after(400 * time.Millisecond)),
			now:   second, seen: pending(0),
			want: Decision{Pending: true, LastEvent: text(400 * time.Millisecond), Wake: after(10400 * time.Millisecond)},
		},
		"when the wait is over work asks for a place": {
			state: State{LookDue: quietLook}.Observe(noon), now: 10*second + time.Millisecond, seen: pending(0), job: Queued,
			want: Decision{Pending: true, LastEvent: text(0), Submit: true, Late: time.Millisecond},
		},
		"in its place work starts": {
			state: State{Job: Queued, LookDue: quietLook}.Observe(noon), now: 11 * second, seen: pending(0), placed: true,
			job: Working, want: Decision{Start: true, InProgress: true},
		},
		"an event that came while work waited for its place starts the wait anew": {
			state: State{Job: Queued, LookDue: quietLook}.Observe(noon).Observe(after(10 * second)), now: 11 * second,
			seen: pending(10 * second), placed: true,
			want: Decision{Pending: true, LastEvent: text(10 * second), Wake: after(20 * second)},
		},
		"an event during work waits for the end of the work": {
			state: State{Job: Working, LookDue: quietLook}.Observe(noon), now: 20 * second,
			seen: with(func(s *Seen) { s.InProgress, s.Pending, s.LastEvent = true, true, text(0) }), job: Working,
			want: Decision{Pending: true, LastEvent: text(0), InProgress: true},
		},
		"after the end it gets its own work": {
			state: State{Ended: true, LookDue: quietLook}.Observe(noon), now: 20 * second,
			seen: with(func(s *Seen) { s.InProgress, s.Pending, s.LastEvent = true, true, text(0) }), job: Queued,
			want: Decision{Pending: true, LastEvent: text(0), Submit: true},
		},
		"the end of work is written": {
			state: State{Ended: true, LookDue: quietLook}, seen: with(func(s *Seen) { s.InProgress = true }),
			want: Decision{Wake: quietLook},
		},
		"a new process goes on waiting where the old one was": {
			now: 4 * second, seen: pending(0), want: Decision{Pending: true, LastEvent: text(0), Wake: after(10 * second)},
		},
		"a new process does not wait for what is over": {
			now: 40 * second, seen: pending(0), job: Queued,
			want: Decision{Pending: true, LastEvent: text(0), Submit: true},
		},
		"an event of the future counts as now": {
			seen: pending(time.Hour), want: Decision{Pending: true, LastEvent: text(0), Wake: after(10 * second)},
		},
		"a time that nobody can read counts as now": {
			seen: with(func(s *Seen) { s.Pending, s.LastEvent = true, "yesterday" }),
			want: Decision{Pending: true, LastEvent: text(0), Wake: after(10 * second)},
		},
		"no time counts as now": {
			seen: with(func(s *Seen) { s.Pending = true }),
			want: Decision{Pending: true, LastEvent: text(0), Wake: after(10 * second)},
		},
		"a time with a zone and without a fraction is understood": {
			now: 4 * second, seen: with(func(s *Seen) { s.Pending, s.LastEvent = true, "2026-01-02T14:00:00+02:00" }),
			want: Decision{Pending: true, LastEvent: text(0), Wake: after(10 * second)},
		},
		"a shorter debounce holds for a running wait": {
			state: State{LookDue: quietLook}.Observe(noon), now: 2 * second, job: Queued,
			seen: with(func(s *Seen) { s.Debounce, s.Pending, s.LastEvent = second, true, text(0) }),
			want: Decision{Pending: true, LastEvent: text(0), Submit: true, Late: second},
		},
		"a longer debounce holds for a running wait": {
			state: State{LookDue: quietLook}.Observe(noon), now: 15 * second,
			seen: with(func(s *Seen) { s.Debounce, s.Pending, s.LastEvent = 20*second, true, text(0) }),
			want: Decision{Pending: true, LastEvent: text(0), Wake: after(20 * second)},
		},
		"work of a dead process is done again": {
			seen: with(func(s *Seen) { s.InProgress = true }), job: Queued, want: Decision{InProgress: true, Submit: true},
		},
		"work of a dead process is done again at once, and what waits goes on waiting": {
			now: second, seen: with(func(s *Seen) { s.InProgress, s.Pending, s.LastEvent = true, true, text(0) }), placed: true,
			job:  Working,
			want: Decision{Start: true, InProgress: true, Pending: true, LastEvent: text(0)},
		},
		"stale peers that a look found need no event": {
			state: State{Urgent: true, LookDue: quietLook}, seen: base, job: Queued, want: Decision{Submit: true},
		},
		"stale peers wait while pods change": {
			state: State{Urgent: true, LookDue: quietLook}.Observe(noon), seen: pending(0),
			want: Decision{Pending: true, LastEvent: text(0), Wake: after(10 * second)},
		},
		"an open reset is finished before anybody looks": {
			seen: with(func(s *Seen) { s.OpenResets = true }), job: Queued, want: Decision{Submit: true},
		},
		"an open reset is finished although monitoring is off": {
			seen: with(func(s *Seen) { s.OpenResets, s.Monitoring = true, false }), job: Queued, want: Decision{Submit: true},
		},
		"work that finishes resets is not cancelled": {
			state: State{Job: Working, Finishing: true}, job: Working,
			seen: with(func(s *Seen) { s.InProgress, s.Monitoring = true, false }), want: Decision{InProgress: true},
		},
		"monitoring switched off cancels work": {
			state: State{Job: Working}, job: Working, seen: with(func(s *Seen) { s.InProgress, s.Monitoring = true, false }),
			want: Decision{InProgress: true, Cancel: true},
		},
		"a deleted service cancels work": {
			state: State{Job: Working}, job: Working, seen: with(func(s *Seen) { s.InProgress, s.Service = true, false }),
			want: Decision{InProgress: true, Cancel: true},
		},
		"without its service a monitor waits for nothing": {
			state: State{LookDue: quietLook}.Observe(noon),
			seen:  with(func(s *Seen) { s.Pending, s.LastEvent, s.Service = true, text(0), false }), want: Decision{},
		},
		"without monitoring an event still leads to work, which does nothing": {
			state: State{}.Observe(noon), now: 10 * second, job: Queued,
			seen: with(func(s *Seen) { s.Pending, s.LastEvent, s.Monitoring = true, text(0), false }),
			want: Decision{Pending: true, LastEvent: text(0), Submit: true, Late: 0},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.want.Late == 0 && name != "without monitoring an event still leads to work, which does nothing" {
				test.want.Late = -1
			}
			test.want.Lazy = test.want.Lazy || after(test.now).Before(test.state.Written.Add(time.Second))
			state, decision := Next(test.state, after(test.now), test.seen, test.placed, time.Second)
			assert.Equal(t, test.want, decision)
			assert.Equal(t, test.job, state.Job)
		})
	}
}

func TestTheTimeOfAnEventIsRoundedUpToWhatIsPersisted(t *testing.T) {
	state := State{}.Observe(after(1500 * time.Microsecond))
	assert.Equal(t, after(2*time.Millisecond), state.Event)
	read, err := time.Parse(time.RFC3339, formatEvent(state.Event))
	assert.NoError(t, err)
	assert.True(t, read.Equal(state.Event))
	assert.Equal(t, state, state.Observe(noon), "an older event changes nothing")
}
