package peering

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Errors of a member's commands.
var (
	// ErrNotPrimary says that only the primary can do this.
	ErrNotPrimary = errors.New("this member is not the primary")
	// ErrPrimary says that the member is the primary already.
	ErrPrimary = errors.New("this member is the primary already")
	// ErrDisabled says that the peering is disabled.
	ErrDisabled = errors.New("the peering is disabled")
)

// Network is how a member finds and reaches others.
type Network interface {
	// Peers returns the addresses of the gateways that may have a member, with or without the own one.
	Peers(ctx context.Context) ([]string, error)
	// Dial connects to "address:port".
	Dial(ctx context.Context, address string) (net.Conn, error)
}

// Timing is the pace of a member. Zero values mean the defaults.
type Timing struct {
	// Heartbeat is the pause between two states told over an idle link (10 s, as Redis pings its replicas).
	Heartbeat time.Duration
	// Dead is the silence after which a link counts as broken (three heartbeats).
	Dead time.Duration
	// Discover is the pause between two looks for new members (10 s).
	Discover time.Duration
	// Patience is how long the member with the higher address waits for the other to dial (1 s).
	Patience time.Duration
	// Failover is how long the primary's link must be down before another primary is chosen (1 s).
	Failover time.Duration
	// Dial bounds dialling and the first frame (3 s).
	Dial time.Duration
}

func (t Timing) withDefaults() Timing {
	standard := func(value *time.Duration, duration time.Duration) {
		if *value <= 0 {
			*value = duration
		}
	}
	standard(&t.Heartbeat, 10*time.Second)
	standard(&t.Dead, 3*t.Heartbeat)
	standard(&t.Discover, 10*time.Second)
	standard(&t.Patience, time.Second)
	standard(&t.Failover, time.Second)
	standard(&t.Dial, 3*time.Second)
	return t
}

// Options describe a member.
type Options struct {
	// Domain and Name identify the peering.
	Domain, Name string
	// Address is the member's own address, which the others know it by.
	Address string
	// Port is the local port, of this member and of all others. MonitorPort is told, and nothing listens there.
	Port, MonitorPort int
	Priority          uint64
	Network           Network
	Scheduler         *Scheduler
	Clock             clock.PassiveClock
	Timing            Timing
}

// Row is what a member knows of one member of its peering, itself included.
type Row struct {
	Address, Name     string
	Pending, Offset   uint64
	Up, Primary       bool
	Port, MonitorPort int
	Priority          uint64
}

// Member is one peering object of one gateway. Its methods may be called from many goroutines.
type Member struct {
	options Options
	links   sync.WaitGroup // goroutines that serve links

	mutex      sync.Mutex
	run        string // "" while disabled
	closed     bool
	isolated   bool
	conns      map[net.Conn]struct{}
	peers      map[string]*peer
	candidates map[string]*candidateState
	claim      claim
	claimedAt  time.Time // when the claim changed last
	offset     uint64
	commands   uint64
	resets     int

	joining  bool // not every member has been tried yet
	known    bool // the network has told who there is
	looking  bool
	nextLook time.Time
	nextBeat time.Time
}

// peer is another member that was linked since the last reset.
type peer struct {
	run              string
	link             *link // nil while down
	downSince        time.Time
	left             bool // it said that it goes, so nobody waits for it
	priority         uint64
	monitorPort      int
	offset, commands uint64
	linkedTo         []string // what it told last
}

// New makes a member, which is disabled until Enable.
func New(options Options) *Member {
	options.Timing = options.Timing.withDefaults()
	m := &Member{options: options}
	m.forget()
	return m
}

// forget drops everything that is known of others. Callers hold the mutex, or have the member for themselves.
func (m *Member) forget() {
	m.peers = map[string]*peer{}
	m.candidates = map[string]*candidateState{}
	m.joining, m.known = true, false
	m.nextLook = time.Time{}
}

// Enable starts the peering afresh: nothing is known of earlier peers or data.
func (m *Member) Enable() {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.run != "" || m.closed {
		return
	}
	m.run = rand.Text()
	m.conns = map[net.Conn]struct{}{}
	m.setClaim(claim{})
	m.offset, m.commands = 0, 0
	m.forget()
	m.nextBeat = m.options.Clock.Now().Add(m.options.Timing.Heartbeat)
	m.options.Scheduler.add(m)
}

// Disable ends the peering in order: the other members learn that it goes, its links are closed, its rows are gone.
func (m *Member) Disable() {
	m.broadcast(kindBye, false)
	m.end(false)
}

// Close ends the peering as when the gateway's process is killed: the links just break. It waits for their goroutines.
func (m *Member) Close() {
	m.end(true)
	m.links.Wait()
}

func (m *Member) end(forGood bool) {
	m.mutex.Lock()
	m.closed = m.closed || forGood
	m.run = ""
	m.options.Scheduler.remove(m)
	m.forget()
	conns := m.takeConns()
	m.mutex.Unlock()
	closeAll(conns)
}

// Reset drops all links and forgets all rows but the own one. Members that live dial again, and so does this one. A
// primary stays primary unless the others have chosen another one meanwhile.
func (m *Member) Reset() error {
	m.mutex.Lock()
	if m.run == "" {
		m.mutex.Unlock()
		return ErrDisabled
	}
	m.resets++
	m.forget()
	if m.claim.Primary != m.options.Address {
		m.setClaim(claim{Epoch: m.claim.Epoch}) // whoever links next will tell
	}
	conns := m.takeConns()
	m.mutex.Unlock()
	closeAll(conns)
	return nil
}

// takeConns returns the open connections and forgets them, so that nobody else closes them.
func (m *Member) takeConns() []net.Conn {
	conns := make([]net.Conn, 0, len(m.conns))
	for conn := range m.conns {
		conns = append(conns, conn)
	}
	m.conns = map[net.Conn]struct{}{}
	return conns
}

func closeAll(conns []net.Conn) {
	for _, conn := range conns {
		_ = conn.Close()
	}
}

// Write makes the primary take a number of commands, and tells the replicas.
func (m *Member) Write(commands uint64) error {
	m.mutex.Lock()
	if m.claim.Primary != m.options.Address {
		m.mutex.Unlock()
		return ErrNotPrimary
	}
	m.commands += commands
	m.offset += commands * bytesPerCommand
	m.mutex.Unlock()
	m.broadcast(kindState, true)
	return nil
}

// Sizes in the stream of replicated data.
const (
	bytesPerCommand = 120 // made up
	bytesPerBeat    = 14  // of a PING in the protocol of Redis
)

// SwitchPrimary makes this member the primary, quorum or not.
func (m *Member) SwitchPrimary() error {
	m.mutex.Lock()
	switch {
	case m.run == "":
		m.mutex.Unlock()
		return ErrDisabled
	case m.claim.Primary == m.options.Address:
		m.mutex.Unlock()
		return ErrPrimary
	}
	m.setClaim(claim{Epoch: m.claim.Epoch + 1, Primary: m.options.Address, Priority: m.options.Priority})
	m.mutex.Unlock()
	m.broadcast(kindState, false)
	return nil
}

// Isolate cuts the member off as when its node is lost: nothing is sent or received any more, no connection is closed.
// False ends the isolation.
func (m *Member) Isolate(isolated bool) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.isolated = isolated
}

// Wake makes the member look for others at its next turn, because the network knows of a change.
func (m *Member) Wake() {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.nextLook = time.Time{}
}

// Enabled tells whether the peering is enabled.
func (m *Member) Enabled() bool {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.run != ""
}

// Resets is how often Reset was called on the enabled peering, since New.
func (m *Member) Resets() int {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.resets
}

// IsPrimary tells whether the member takes itself for the primary.
func (m *Member) IsPrimary() bool {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.run != "" && m.claim.Primary == m.options.Address
}

// Rows returns what the member knows, ordered by address; none while it is disabled.
func (m *Member) Rows() []Row {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.run == "" {
		return nil
	}
	primary := m.claim.Primary
	own := Row{
		Address: m.options.Address, Name: m.options.Name, Offset: m.offset, Up: m.primaryUp(),
		Primary: primary == m.options.Address, Port: m.options.Port, MonitorPort: m.options.MonitorPort, Priority: m.options.Priority,
	}
	rows := []Row{own}
	for address, p := range m.peers {
		rows = append(rows, Row{
			Address: address, Name: m.options.Name, Offset: p.offset, Up: p.link != nil, Primary: address == primary,
			Pending: m.commands - min(p.commands, m.commands), Port: m.options.Port, MonitorPort: p.monitorPort, Priority: p.priority,
		})
	}
	slices.SortFunc(rows, func(a, b Row) int {
		if lower(a.Address, b.Address) {
			return -1
		}
		return 1
	})
	return rows
}

// setClaim takes over who is the primary. Callers hold the mutex.
func (m *Member) setClaim(c claim) {
	if m.claim != c {
		m.claim, m.claimedAt = c, m.options.Clock.Now()
	}
}

// primaryUp tells whether this member is connected to the primary, or is it. Callers hold the mutex.
func (m *Member) primaryUp() bool {
	if m.claim.Primary == m.options.Address {
		return true
	}
	p := m.peers[m.claim.Primary]
	return p != nil && p.link != nil
}

func (m *Member) group() string { return m.options.Domain + "/" + m.options.Name }

func (m *Member) endpoint(address string) string {
	return net.JoinHostPort(address, strconv.Itoa(m.options.Port))
}
