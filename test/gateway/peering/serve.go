package peering

import (
	"net"
	"time"
)

// Accept serves a connection that another member opened. It returns when the connection has ended, which closes it.
func (m *Member) Accept(conn net.Conn) { m.serve(conn, "") }

// serve keeps a link until it ends. The address is that of the dialled member, empty for one that dialled.
func (m *Member) serve(conn net.Conn, address string) {
	defer func() { _ = conn.Close() }()
	run, ok := m.admit(conn)
	if !ok {
		m.dialed(address, false)
		return
	}
	defer m.links.Done()
	defer m.dismiss(conn)
	l := newLink(conn, address != "")
	l.send(func() (frame, bool) { return m.frame(kindHello, false) })
	hello, err := l.receive(time.Now().Add(m.options.Timing.Dial))
	linked := err == nil && m.join(l, hello, run)
	if address != "" {
		m.dialed(address, linked)
	}
	if !linked {
		return
	}
	m.settle()
	m.listen(l)
	if m.lose(l) {
		m.broadcast(kindState, false)
	}
}

// listen handles frames until the link ends or has been silent for too long. An isolated member hears nothing.
func (m *Member) listen(l *link) {
	heard := time.Now()
	for {
		f, err := l.receive(heard.Add(m.options.Timing.Dead))
		if err != nil {
			return
		}
		accepted, tell := m.hear(l, f)
		if accepted {
			heard = time.Now()
		}
		if tell {
			m.broadcast(kindState, false)
		}
	}
}

// admit takes a connection into the member's care. It tells the run that it belongs to.
func (m *Member) admit(conn net.Conn) (string, bool) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.run == "" || m.isolated {
		return "", false
	}
	m.conns[conn] = struct{}{}
	m.links.Add(1)
	return m.run, true
}

func (m *Member) dismiss(conn net.Conn) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	delete(m.conns, conn)
}

// frame makes a frame of the member's state. There is none while the member is disabled or isolated.
func (m *Member) frame(kind string, ack bool) (frame, bool) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return frame{
		Kind: kind, Group: m.group(), Address: m.options.Address, Run: m.run, Priority: m.options.Priority,
		MonitorPort: m.options.MonitorPort, claim: m.claim, Offset: m.offset, Commands: m.commands, Peers: m.linkedTo(), Ack: ack,
	}, m.run != "" && !m.isolated
}

// linkedTo returns the addresses that this member is linked to, the primary's first, as many as a frame can hold. Callers
// hold the mutex.
func (m *Member) linkedTo() []string {
	var addresses []string
	length := 0
	add := func(address string, p *peer) {
		if length += len(address) + len(`"",`); p != nil && p.link != nil && length <= maxPeersBytes {
			addresses = append(addresses, address)
		}
	}
	add(m.claim.Primary, m.peers[m.claim.Primary])
	for address, p := range m.peers {
		if address != m.claim.Primary {
			add(address, p)
		}
	}
	return addresses
}

// join makes a greeted connection the link to its member, in place of an older one unless that one is to stay. It is not
// joined when the member was reset or disabled since the connection began, or when the other belongs elsewhere.
func (m *Member) join(l *link, hello frame, run string) bool {
	m.mutex.Lock()
	_, cared := m.conns[l.conn]
	strange := hello.Kind != kindHello || hello.Group != m.group() || hello.Address == "" || hello.Address == m.options.Address
	if strange || !cared || m.run != run || m.isolated {
		m.mutex.Unlock()
		return false
	}
	p := m.peers[hello.Address]
	if p == nil {
		p = &peer{}
		m.peers[hello.Address] = p
	}
	old := p.link
	if old != nil && p.run == hello.Run && m.staysLinked(old, l, hello.Address) {
		m.mutex.Unlock()
		return false
	}
	l.peer = hello.Address
	p.link, p.left, p.run = l, false, hello.Run
	m.learn(p, hello)
	m.mutex.Unlock()
	if old != nil {
		_ = old.conn.Close()
	}
	return true
}

// staysLinked decides between two links to the same run of a member, so that both sides keep the same: the one that the
// lower address dialled; of two by the same side the newer one, because that side has lost the older.
func (m *Member) staysLinked(old, fresh *link, address string) bool {
	return old.dialed != fresh.dialed && old.dialed == lower(m.options.Address, address)
}

// learn takes over what a member tells of itself and of the primary. Callers hold the mutex.
func (m *Member) learn(p *peer, f frame) {
	p.priority, p.monitorPort, p.offset, p.commands, p.linkedTo = f.Priority, f.MonitorPort, f.Offset, f.Commands, f.Peers
	for _, address := range f.Peers {
		if m.candidates[address] == nil && address != m.options.Address {
			m.wakeAt(m.options.Clock.Now())
		}
	}
	m.setClaim(merge(m.claim, f.claim))
	if f.Address == m.claim.Primary {
		m.offset, m.commands = f.Offset, f.Commands
	}
}

// hear handles a frame of a linked member. It tells whether the frame counted, and whether the others should learn of the
// change at once.
func (m *Member) hear(l *link, f frame) (accepted, tell bool) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	p := m.peers[l.peer]
	if p == nil || p.link != l || f.Run != p.run || m.isolated {
		return false, false
	}
	before := m.claim
	if f.Kind == kindBye {
		p.link, p.left, p.downSince = nil, true, m.options.Clock.Now()
		return true, m.reconsider(m.options.Clock.Now())
	}
	m.learn(p, f)
	return true, m.claim != before || (f.Ack && f.Address == m.claim.Primary)
}

// lose notes the end of a link. It tells whether it was a loss: a link that was replaced, or forgotten by a reset, is
// none.
func (m *Member) lose(l *link) bool {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	p := m.peers[l.peer]
	if p == nil || p.link != l {
		return false
	}
	now := m.options.Clock.Now()
	p.link, p.downSince = nil, now
	if c := m.candidates[l.peer]; c != nil {
		c.since, c.retry = now, time.Time{}
	}
	m.wakeAt(now)
	return true
}

// broadcast tells all linked members the current state.
func (m *Member) broadcast(kind string, ack bool) {
	m.mutex.Lock()
	var links []*link
	for _, p := range m.peers {
		if p.link != nil {
			links = append(links, p.link)
		}
	}
	m.mutex.Unlock()
	for _, l := range links {
		l.send(func() (frame, bool) { return m.frame(kind, ack) })
	}
}
