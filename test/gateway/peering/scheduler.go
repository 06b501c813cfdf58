package peering

import (
	"context"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// step is how often members get a turn. It bounds how late they notice that something is due.
const step = 100 * time.Millisecond

// dialsAtOnce bounds the connections that all members of a scheduler open at the same time.
const dialsAtOnce = 64

// Scheduler gives many members their turns from one goroutine, so that an idle member costs neither goroutine nor timer.
type Scheduler struct {
	clock   clock.PassiveClock
	ctx     context.Context
	stop    context.CancelFunc
	dialing chan struct{}
	running sync.WaitGroup

	mutex   sync.Mutex
	members map[*Member]struct{}
	stopped bool
}

// NewScheduler starts a scheduler. The clock measures everything that members do later; the pace itself is that of real
// time.
func NewScheduler(clock clock.PassiveClock) *Scheduler {
	ctx, stop := context.WithCancel(context.Background())
	s := &Scheduler{
		clock: clock, ctx: ctx, stop: stop, dialing: make(chan struct{}, dialsAtOnce), members: map[*Member]struct{}{},
	}
	s.running.Add(1)
	go s.run()
	return s
}

func (s *Scheduler) run() {
	defer s.running.Done()
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	var round []*Member
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
		}
		round = round[:0]
		s.mutex.Lock()
		for member := range s.members {
			round = append(round, member)
		}
		s.mutex.Unlock()
		now := s.clock.Now()
		for _, member := range round {
			member.turn(now)
		}
	}
}

func (s *Scheduler) add(m *Member) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.members[m] = struct{}{}
}

func (s *Scheduler) remove(m *Member) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.members, m)
}

// spawn runs work in a goroutine that Stop waits for. It does nothing on a stopped scheduler.
func (s *Scheduler) spawn(work func()) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.stopped {
		return
	}
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		work()
	}()
}

// dialSlot waits for the right to dial; the caller gives it back by calling the result. It returns nil when the scheduler
// stops.
func (s *Scheduler) dialSlot() func() {
	select {
	case s.dialing <- struct{}{}:
		return func() { <-s.dialing }
	case <-s.ctx.Done():
		return nil
	}
}

// Stop ends the scheduler and waits for everything that its members had it start. Close the members first: Stop closes
// no connection.
func (s *Scheduler) Stop() {
	s.mutex.Lock()
	s.stopped = true
	s.mutex.Unlock()
	s.stop()
	s.running.Wait()
}
