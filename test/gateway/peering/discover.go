package peering

import (
	"context"
	"slices"
	"time"
)

// candidateState is what is known of an address that may have a member.
type candidateState struct {
	since   time.Time // first seen
	tried   bool      // linked or dialled in vain at least once
	dialing bool
	retry   time.Time
	pause   time.Duration // before the next retry
}

// firstRetry is the pause after the first vain dial; it doubles up to Timing.Discover.
const firstRetry = time.Second

// turn does what is due. The scheduler calls it often.
func (m *Member) turn(now time.Time) {
	m.mutex.Lock()
	if m.run == "" {
		m.mutex.Unlock()
		return
	}
	look := !m.looking && !m.isolated && !now.Before(m.nextLook)
	if look {
		m.looking = true
		m.nextLook = now.Add(m.options.Timing.Discover)
	}
	beat := !now.Before(m.nextBeat)
	if beat {
		m.nextBeat = now.Add(m.options.Timing.Heartbeat)
		if m.claim.Primary == m.options.Address {
			m.offset += bytesPerBeat
		}
	}
	chosen := m.reconsider(now)
	m.mutex.Unlock()
	if look {
		m.options.Scheduler.spawn(m.look)
	}
	if beat || chosen {
		m.broadcast(kindState, false)
	}
}

// look asks the network who there is and dials those that are not linked.
func (m *Member) look() {
	ctx, cancel := context.WithTimeout(m.options.Scheduler.ctx, m.options.Timing.Dial)
	defer cancel()
	addresses, err := m.options.Network.Peers(ctx)
	m.mutex.Lock()
	m.looking = false
	if err != nil {
		m.wakeAt(m.options.Clock.Now().Add(firstRetry))
		m.mutex.Unlock()
		return
	}
	dial := m.choose(addresses, m.options.Clock.Now())
	m.mutex.Unlock()
	for _, address := range dial {
		m.options.Scheduler.spawn(func() { m.dial(address) })
	}
	m.settle()
}

// choose returns the addresses that this member has to dial now: of those that the network names, and of those that
// linked members are linked to. Of two members the one with the lower address dials; the other does so only when nothing
// has come for a while. Callers hold the mutex.
func (m *Member) choose(addresses []string, now time.Time) []string {
	for _, p := range m.peers {
		if p.link != nil {
			addresses = append(addresses, p.linkedTo...)
		}
	}
	slices.Sort(addresses)
	var dial []string
	current := map[string]*candidateState{}
	for _, address := range slices.Compact(addresses) {
		if address == m.options.Address {
			continue
		}
		c := m.candidates[address]
		if c == nil {
			c = &candidateState{since: now, pause: firstRetry}
		}
		current[address] = c
		p := m.peers[address]
		mayDialAt := c.retry
		if lower(address, m.options.Address) && c.since.Add(m.options.Timing.Patience).After(mayDialAt) {
			mayDialAt = c.since.Add(m.options.Timing.Patience)
		}
		switch {
		case p != nil && p.link != nil:
			c.tried, c.pause = true, firstRetry
		case c.dialing:
		case now.Before(mayDialAt):
			m.wakeAt(mayDialAt)
		default:
			c.dialing = true
			dial = append(dial, address)
		}
	}
	m.candidates = current
	m.known = true
	return dial
}

// wakeAt brings the next look forward. Callers hold the mutex.
func (m *Member) wakeAt(at time.Time) {
	if at.Before(m.nextLook) {
		m.nextLook = at
	}
}

// dial connects to another member and serves the link until it ends.
func (m *Member) dial(address string) {
	release := m.options.Scheduler.dialSlot()
	if release == nil {
		return
	}
	ctx, cancel := context.WithTimeout(m.options.Scheduler.ctx, m.options.Timing.Dial)
	conn, err := m.options.Network.Dial(ctx, m.endpoint(address))
	cancel()
	release()
	if err == nil {
		m.serve(conn, address)
		return
	}
	m.dialed(address, false)
}

// dialed notes how a dial to a candidate ended.
func (m *Member) dialed(address string, linked bool) {
	m.mutex.Lock()
	if c := m.candidates[address]; c != nil && c.dialing {
		c.dialing, c.tried = false, true
		if !linked {
			c.retry = m.options.Clock.Now().Add(c.pause)
			c.pause = min(2*c.pause, m.options.Timing.Discover)
			m.wakeAt(c.retry)
		}
	}
	m.mutex.Unlock()
	m.settle()
}

// settle ends the time of joining when every candidate is linked or was tried in vain. Before that, a member that comes
// into a group would take itself for alone, and for the primary.
func (m *Member) settle() {
	m.mutex.Lock()
	done := m.known
	for address, c := range m.candidates {
		p := m.peers[address]
		done = done && (c.tried || (p != nil && p.link != nil))
	}
	m.joining = m.joining && !done
	chosen := m.reconsider(m.options.Clock.Now())
	m.mutex.Unlock()
	if chosen {
		m.broadcast(kindState, false)
	}
}

// primaryGivenUp tells whether nobody needs to wait for the primary: there is none, it has left, or it has been down for
// long enough, also in the eyes of every linked member. A member that has just heard of a primary may not be linked to it
// yet. Callers hold the mutex.
func (m *Member) primaryGivenUp(now time.Time) bool {
	primary := m.claim.Primary
	if primary == "" {
		return true
	}
	lost := m.claimedAt
	if p := m.peers[primary]; p != nil {
		if p.left {
			return true
		}
		if p.downSince.After(lost) {
			lost = p.downSince
		}
	}
	for _, p := range m.peers {
		if p.link != nil && slices.Contains(p.linkedTo, primary) {
			return false
		}
	}
	return now.Sub(lost) >= m.options.Timing.Failover
}

// reconsider chooses a primary when there is none, or when the one there is has been down for long enough. It tells
// whether it chose. Callers hold the mutex.
func (m *Member) reconsider(now time.Time) bool {
	if m.run == "" || m.joining || m.isolated || m.primaryUp() {
		return false
	}
	if !m.primaryGivenUp(now) {
		return false
	}
	candidates := []candidate{{address: m.options.Address, priority: m.options.Priority, active: true}}
	for address, p := range m.peers {
		candidates = append(candidates, candidate{address: address, priority: p.priority, active: p.link != nil})
	}
	chosen, ok := elect(candidates)
	if !ok {
		return false
	}
	priority := m.options.Priority
	if p := m.peers[chosen]; p != nil {
		priority = p.priority
	}
	m.setClaim(claim{Epoch: m.claim.Epoch + 1, Primary: chosen, Priority: priority})
	return true
}
