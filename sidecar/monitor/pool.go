package monitor

import (
	"context"
	"sync"
)

// pool runs jobs in a bounded number of goroutines, which exist only while there are jobs. Work goes before looks, and
// looks never take all places, so that a pod event does not wait for a slow tick.
type pool struct {
	places, lookPlaces int

	mutex   sync.Mutex
	ctx     context.Context // nil until Start, ended when the pool stops
	work    []func(context.Context)
	looks   []func(context.Context)
	running int
	looking int
	done    sync.WaitGroup
}

// newPool makes a pool with so many places, of which looks take at most lookPlaces. Both are at least one.
func newPool(places, lookPlaces int) *pool {
	return &pool{places: max(places, 1), lookPlaces: max(lookPlaces, 1)}
}

// Start implements manager.Runnable: jobs run until ctx ends. It returns when the last of them has ended.
func (p *pool) Start(ctx context.Context) error {
	p.mutex.Lock()
	p.ctx = ctx
	p.fill()
	p.mutex.Unlock()
	<-ctx.Done()
	p.mutex.Lock()
	p.work, p.looks = nil, nil
	p.mutex.Unlock()
	p.done.Wait()
	return nil
}

// submitWork and submitLook run a job as soon as there is a place. Jobs of a pool that has stopped are dropped.
func (p *pool) submitWork(job func(context.Context)) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.work = append(p.work, job)
	p.fill()
}

func (p *pool) submitLook(job func(context.Context)) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.looks = append(p.looks, job)
	p.fill()
}

// fill starts goroutines for jobs that have a place. The mutex is held.
func (p *pool) fill() {
	for p.ctx != nil && p.ctx.Err() == nil && p.running < p.places {
		job, isLook := p.take()
		if job == nil {
			return
		}
		p.running++
		p.done.Add(1)
		go p.run(job, isLook)
	}
}

// take removes the next job that may run, nil when there is none. The mutex is held.
func (p *pool) take() (job func(context.Context), isLook bool) {
	switch {
	case len(p.work) > 0:
		job, p.work = p.work[0], p.work[1:]
		return job, false
	case len(p.looks) > 0 && p.looking < p.lookPlaces:
		job, p.looks = p.looks[0], p.looks[1:]
		p.looking++
		return job, true
	}
	return nil, false
}

func (p *pool) run(job func(context.Context), isLook bool) {
	defer p.done.Done()
	job(p.ctx)
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.running--
	if isLook {
		p.looking--
	}
	p.fill()
}
