package peering

import (
	"context"
	"time"

	"k8s.io/utils/clock"
)

// Defaults of [Policy].
const (
	// DefaultPolls bounds the looks of one work.
	DefaultPolls = 60
	// DefaultBound bounds the time of one work.
	DefaultBound = 5 * time.Minute
	// DefaultConcurrency bounds the gateways that are looked at at once, over all services.
	DefaultConcurrency = 64
	// DefaultLookTimeout bounds a look at one gateway.
	DefaultLookTimeout = 30 * time.Second
	// DefaultPatience is how long a look waits for gateways that do not answer.
	DefaultPatience = 2 * time.Second
	// DefaultSettleLooks bounds the looks at a gateway that was reset.
	DefaultSettleLooks = 10
	// DefaultFailoverLooks is how many looks a peering without a primary is given to choose one.
	DefaultFailoverLooks = 10
	// DefaultAwaitLooks is how many looks a gateway is given that does not answer.
	DefaultAwaitLooks = 15
	// DefaultRestoreTimeout bounds enabling a peering after the work was interrupted.
	DefaultRestoreTimeout = 5 * time.Second
	// defaultInterval is the wait between two looks when the service does not say.
	defaultInterval = time.Second
)

// Policy has the bounds of the work. Zero values mean the defaults.
type Policy struct {
	// Polls and Bound end the work of a service, whichever is reached first.
	Polls int
	Bound time.Duration
	// Concurrency bounds the gateways that are looked at at once.
	Concurrency int
	// LookTimeout bounds a look at one gateway. Patience is how long the others wait for it at one look; once it was late,
	// they do not wait any more.
	LookTimeout, Patience time.Duration
	// SettleLooks is how many looks after a reset its effect may show, and how many looks all others wait for one that
	// cannot be finished, or that does not link again.
	SettleLooks int
	// FailoverLooks is how many looks in a row a peering without a primary may take for its own failover.
	FailoverLooks int
	// AwaitLooks is how many looks the work goes on for a gateway that does not answer.
	AwaitLooks int
	// RestoreTimeout bounds enabling a peering again after the context has ended.
	RestoreTimeout time.Duration
	// Actions are tried first, in their order, as far as a gateway offers them.
	Actions []Action
}

func (p Policy) withDefaults() Policy {
	standard(&p.Polls, DefaultPolls)
	standard(&p.Bound, DefaultBound)
	standard(&p.Concurrency, DefaultConcurrency)
	standard(&p.LookTimeout, DefaultLookTimeout)
	standard(&p.Patience, DefaultPatience)
	standard(&p.SettleLooks, DefaultSettleLooks)
	standard(&p.FailoverLooks, DefaultFailoverLooks)
	standard(&p.AwaitLooks, DefaultAwaitLooks)
	standard(&p.RestoreTimeout, DefaultRestoreTimeout)
	return p
}

func standard[T int | time.Duration](value *T, fallback T) {
	if *value <= 0 {
		*value = fallback
	}
}

// Options make a [Worker]. Pods and Gateways are required.
type Options struct {
	Pods     Pods
	Gateways Gateways
	// Clock measures waits between looks; nil means the real one. Timeouts of calls are contexts, in real time.
	Clock clock.Clock
	// Policy has the bounds.
	Policy Policy
	// Observer hears of resets; nil means nobody does.
	Observer Observer
}

// Worker heals the peerings of services. Its methods may be called from many goroutines, but Work only once at a time for
// one service.
type Worker struct {
	pods     Pods
	gateways Gateways
	clock    clock.Clock
	policy   Policy
	observer Observer
	// slots bounds the looks of all services.
	slots chan struct{}
}

// New makes a worker.
func New(options Options) *Worker {
	w := &Worker{
		pods: options.Pods, gateways: options.Gateways, clock: options.Clock,
		policy: options.Policy.withDefaults(), observer: options.Observer,
	}
	if w.clock == nil {
		w.clock = clock.RealClock{}
	}
	if w.observer == nil {
		w.observer = nobody{}
	}
	w.slots = make(chan struct{}, w.policy.Concurrency)
	return w
}

// nobody hears of resets when there is no observer.
type nobody struct{}

func (nobody) ResetEnded(Service, ResetReport) {}

// Look looks at all gateways of a service once and changes nothing.
func (w *Worker) Look(ctx context.Context, service Service) Report {
	r := w.newRun(ctx, service, nil)
	defer r.close()
	if r.look(ctx) {
		r.decision = Decide(r.state())
	}
	return r.finish(ctx)
}

// Work finishes the resets that the journal has open, looks at all gateways of a service, resets where peers are stale, and
// looks again until none is left, until only pods can change that, or until the policy's bounds are reached. At most one
// reset runs at any time.
//
// It returns when everything that it started has ended. When the context ends during a reset, a peering that is disabled at
// that moment is enabled within the policy's RestoreTimeout, and the journal's entry stays.
func (w *Worker) Work(ctx context.Context, service Service, journal Journal) Report {
	r := w.newRun(ctx, service, journal)
	defer r.close()
	interval := service.RecoveryInterval
	if interval <= 0 {
		interval = defaultInterval
	}
	for polls := 1; ; polls++ {
		if !r.look(ctx) {
			break
		}
		r.settle()
		r.act(ctx)
		if r.done() || polls >= w.policy.Polls || w.clock.Since(r.began)+interval > w.policy.Bound || !w.sleep(ctx, interval) {
			break
		}
	}
	return r.finish(ctx)
}

// sleep waits. It tells whether the time has passed.
func (w *Worker) sleep(ctx context.Context, duration time.Duration) bool {
	timer := w.clock.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C():
		return true
	}
}
