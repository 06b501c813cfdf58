package monitor

import "time"

// Policy holds the bounds of a [Reconciler] that no custom resource sets. Zero values mean those of [DefaultPolicy].
type Policy struct {
	// Tick is the pause between two looks at a service to which nothing happens. Each pause is up to a fifth longer or
	// shorter, so that looks spread.
	Tick time.Duration
	// Retry is the pause before the first look after work or a look that found something, resets that healed it included.
	// It doubles with each further one, up to Tick.
	Retry time.Duration
	// EventWrites is the least time between two status writes that only move lastEvent.
	EventWrites time.Duration
	// Workers is how many monitors' work and looks may run at the same time, Lookers how many of them may be looks.
	Workers, Lookers int
	// Reconciles is how many monitors' status may be written at the same time. Each waits for the API server most of the
	// time: with few of them a slow API server would keep the timers of all others waiting.
	Reconciles int
}

// DefaultPolicy is the policy of the product.
var DefaultPolicy = Policy{
	Tick: 10 * time.Minute, Retry: 30 * time.Second, EventWrites: time.Second,
	Workers: 48, Lookers: 24, Reconciles: 100,
}

func (p Policy) withDefaults() Policy {
	defaultTo(&p.Tick, DefaultPolicy.Tick)
	defaultTo(&p.Retry, DefaultPolicy.Retry)
	defaultTo(&p.EventWrites, DefaultPolicy.EventWrites)
	defaultTo(&p.Workers, DefaultPolicy.Workers)
	defaultTo(&p.Lookers, DefaultPolicy.Lookers)
	defaultTo(&p.Reconciles, DefaultPolicy.Reconciles)
	return p
}

func defaultTo[T int | time.Duration](value *T, standard T) {
	if *value <= 0 {
		*value = standard
	}
}

// pause is the wait before the next look: after so many works and looks in a row that found something, with a random
// number of [0, 1).
func (p Policy) pause(findings int, random float64) time.Duration {
	wait := p.Tick
	if findings > 0 {
		wait = p.Retry
		for range findings - 1 {
			if wait *= 2; wait >= p.Tick {
				wait = p.Tick
				break
			}
		}
	}
	return time.Duration(float64(wait) * (0.8 + 0.4*random))
}
