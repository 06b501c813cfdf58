package peering

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"k8s.io/utils/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick is a pace at which tests need not wait long.
var quick = Timing{
	Heartbeat: 200 * time.Millisecond, Dead: time.Minute, Discover: 500 * time.Millisecond, Patience: 300 * time.Millisecond,
	Failover: 300 * time.Millisecond, Dial: time.Second,
}

// calm is for tests in which a primary is to survive a short break, also on a busy machine.
func calm(timing *Timing) { timing.Failover = calmFailover }

const calmFailover = 3 * time.Second

// lan connects members over loopback TCP. Each member has the address that it was added with.
type lan struct {
	t         *testing.T
	scheduler *Scheduler
	timing    Timing
	names     []string // what Peers returns; nil means all members

	mutex     sync.Mutex
	listeners map[string]net.Listener
	members   map[string]*Member
	serving   sync.WaitGroup
}

func newLAN(t *testing.T) *lan {
	n := &lan{
		t: t, scheduler: NewScheduler(clock.RealClock{}), timing: quick,
		listeners: map[string]net.Listener{}, members: map[string]*Member{},
	}
	t.Cleanup(func() {
		for _, address := range n.addresses() {
			n.kill(address)
		}
		n.scheduler.Stop()
		n.serving.Wait()
	})
	return n
}

// Peers implements Network.
func (n *lan) Peers(context.Context) ([]string, error) {
	if n.names != nil {
		return slices.Clone(n.names), nil
	}
	return n.addresses(), nil
}

// Dial implements Network.
func (n *lan) Dial(ctx context.Context, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	n.mutex.Lock()
	listener := n.listeners[host]
	n.mutex.Unlock()
	if listener == nil {
		return nil, fmt.Errorf("dial %s: connection refused", address)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", listener.Addr().String())
}

func (n *lan) addresses() []string {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	var all []string
	for address := range n.members {
		all = append(all, address)
	}
	slices.Sort(all)
	return all
}

// add starts a gateway with one member.
func (n *lan) add(address string, priority uint64) *Member {
	member := New(Options{
		Domain: "apiconnect", Name: "gwd", Address: address, Port: 16380, MonitorPort: 26380, Priority: priority,
		Network: n, Scheduler: n.scheduler, Clock: clock.RealClock{}, Timing: n.timing,
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(n.t, err)
	n.mutex.Lock()
	n.listeners[address], n.members[address] = listener, member
	others := make([]*Member, 0, len(n.members))
	for _, other := range n.members {
		others = append(others, other)
	}
	n.mutex.Unlock()
	n.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			n.serving.Go(func() { member.Accept(conn) })
		}
	})
	member.Enable()
	for _, other := range others {
		other.Wake()
	}
	return member
}

// kill ends a gateway as when its pod is killed; its address is no longer in the DNS.
func (n *lan) kill(address string) {
	n.mutex.Lock()
	member, listener := n.members[address], n.listeners[address]
	delete(n.members, address)
	delete(n.listeners, address)
	n.mutex.Unlock()
	require.NoError(n.t, listener.Close())
	member.Close()
}

// three starts three members and waits until each has all three rows up.
func three(t *testing.T, change ...func(*Timing)) (*lan, [3]*Member) {
	n := newLAN(t)
	for _, apply := range change {
		apply(&n.timing)
	}
	var members [3]*Member
	for i := range members {
		members[i] = n.add(fmt.Sprintf("10.0.0.%d", i+1), 100)
	}
	for _, member := range members {
		eventually(t, member, "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.3 ok")
	}
	return n, members
}

// picture writes rows as "10.0.0.1 ok primary, 10.0.0.2 down".
func picture(rows []Row) string {
	var parts []string
	for _, row := range rows {
		part := row.Address + " down"
		if row.Up {
			part = row.Address + " ok"
		}
		if row.Primary {
			part += " primary"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

func eventually(t *testing.T, member *Member, want string) {
	t.Helper()
	var got string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if got = picture(member.Rows()); got == want {
			return
		}
	}
	require.Equal(t, want, got, "as seen by %s", member.options.Address)
}

func TestThreeMembersMeetAndChooseAPrimary(t *testing.T) {
	_, members := three(t)
	for i, member := range members {
		assert.Equal(t, i == 0, member.IsPrimary())
	}
	rows := members[1].Rows()
	assert.Equal(t, Row{
		Address: "10.0.0.3", Name: "gwd", Up: true, Port: 16380, MonitorPort: 26380, Priority: 100, Offset: rows[2].Offset,
	}, rows[2])
}

func TestAMemberAloneIsThePrimary(t *testing.T) {
	n := newLAN(t)
	eventually(t, n.add("10.0.0.1", 100), "10.0.0.1 ok primary")
}

func TestTheFirstStaysPrimaryWhateverThePriorityOfOthers(t *testing.T) {
	n := newLAN(t)
	first := n.add("10.0.0.9", 100)
	eventually(t, first, "10.0.0.9 ok primary")
	second := n.add("10.0.0.1", 1)
	eventually(t, second, "10.0.0.1 ok, 10.0.0.9 ok primary")
	eventually(t, first, "10.0.0.1 ok, 10.0.0.9 ok primary")
}

func TestAVanishedMemberKeepsItsRowUntilAReset(t *testing.T) {
	n, members := three(t, calm)
	n.kill("10.0.0.3")
	eventually(t, members[0], "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.3 down")
	eventually(t, members[1], "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.3 down")
	time.Sleep(2 * quick.Discover)
	assert.Equal(t, "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.3 down", picture(members[1].Rows()), "time does not heal it")

	replacement := n.add("10.0.0.4", 100)
	eventually(t, members[1], "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.3 down, 10.0.0.4 ok")
	eventually(t, replacement, "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.4 ok")

	require.NoError(t, members[1].Reset())
	eventually(t, members[1], "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.4 ok")
	assert.Equal(t, 1, members[1].Resets())
	assert.Equal(t, "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.3 down, 10.0.0.4 ok", picture(members[0].Rows()),
		"a reset forgets rows on this member only")

	require.NoError(t, members[0].Reset(), "of the primary")
	eventually(t, members[0], "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.4 ok")
}

func TestAResetDropsLiveLinksToo(t *testing.T) {
	_, members := three(t)
	before := linkOf(members[1], "10.0.0.3")
	require.NoError(t, members[1].Reset())
	require.ErrorIs(t, before.conn.SetDeadline(time.Time{}), net.ErrClosed)
	eventually(t, members[1], "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.3 ok")
	assert.NotSame(t, before, linkOf(members[1], "10.0.0.3"))
}

func linkOf(m *Member, address string) *link {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.peers[address].link
}

func TestThePrimaryMovesWhenItIsGone(t *testing.T) {
	n, members := three(t)
	n.kill("10.0.0.1")
	eventually(t, members[1], "10.0.0.1 down, 10.0.0.2 ok primary, 10.0.0.3 ok")
	eventually(t, members[2], "10.0.0.1 down, 10.0.0.2 ok primary, 10.0.0.3 ok")
}

func TestAShortBreakMovesNoPrimary(t *testing.T) {
	_, members := three(t, calm)
	require.NoError(t, members[0].Reset())
	eventually(t, members[1], "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.3 ok")
	time.Sleep(calmFailover + 500*time.Millisecond)
	for _, member := range members {
		assert.Equal(t, "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.3 ok", picture(member.Rows()))
	}
}

func TestWithoutAQuorumNoPrimaryIsChosenUntilAReset(t *testing.T) {
	n, members := three(t)
	n.kill("10.0.0.1")
	n.kill("10.0.0.2")
	eventually(t, members[2], "10.0.0.1 down primary, 10.0.0.2 down, 10.0.0.3 down")
	time.Sleep(2 * quick.Failover)
	assert.Equal(t, "10.0.0.1 down primary, 10.0.0.2 down, 10.0.0.3 down", picture(members[2].Rows()))

	require.NoError(t, members[2].Reset())
	eventually(t, members[2], "10.0.0.3 ok primary")
}

func TestNewMembersCanBringBackTheQuorum(t *testing.T) {
	n, members := three(t)
	n.kill("10.0.0.1")
	n.kill("10.0.0.2")
	n.add("10.0.0.4", 100)
	n.add("10.0.0.5", 100)
	eventually(t, members[2], "10.0.0.1 down, 10.0.0.2 down, 10.0.0.3 ok primary, 10.0.0.4 ok, 10.0.0.5 ok")
}

func TestAMemberThatComesBackAtItsAddressIsUpAgain(t *testing.T) {
	n, members := three(t)
	n.kill("10.0.0.3")
	eventually(t, members[0], "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.3 down")
	back := n.add("10.0.0.3", 100)
	eventually(t, members[0], "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.3 ok")
	eventually(t, back, "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.3 ok")
}

func TestDisabledAndEnabledAgainForgetsRows(t *testing.T) {
	n, members := three(t)
	n.kill("10.0.0.3")
	eventually(t, members[1], "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.3 down")

	members[1].Disable()
	assert.False(t, members[1].Enabled())
	assert.Empty(t, members[1].Rows())
	require.ErrorIs(t, members[1].Reset(), ErrDisabled)
	require.ErrorIs(t, members[1].SwitchPrimary(), ErrDisabled)
	eventually(t, members[0], "10.0.0.1 ok primary, 10.0.0.2 down, 10.0.0.3 down")

	members[1].Enable()
	eventually(t, members[1], "10.0.0.1 ok primary, 10.0.0.2 ok")
	eventually(t, members[0], "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.3 down")
}

func TestADisabledPrimaryIsReplacedAtOnce(t *testing.T) {
	_, members := three(t, func(timing *Timing) { timing.Failover = time.Hour })
	members[0].Disable()
	eventually(t, members[1], "10.0.0.1 down, 10.0.0.2 ok primary, 10.0.0.3 ok")
	members[0].Enable()
	eventually(t, members[0], "10.0.0.1 ok, 10.0.0.2 ok primary, 10.0.0.3 ok")
}

func TestFailoverDoesNotWaitForDiscovery(t *testing.T) {
	n, members := three(t, func(timing *Timing) { timing.Discover = time.Hour })
	n.kill("10.0.0.1")
	eventually(t, members[1], "10.0.0.1 down, 10.0.0.2 ok primary, 10.0.0.3 ok")
}

func TestOfTwoLinksBothSidesKeepTheSame(t *testing.T) {
	low, high := New(Options{Address: "10.0.0.1"}), New(Options{Address: "10.0.0.2"})
	byLow, byHigh := true, false // who dialled
	for _, test := range []struct {
		name       string
		old, fresh bool
		stays      bool
	}{
		{"the one that the lower address dialled stays", byLow, byHigh, true},
		{"the one that the lower address dialled replaces the other", byHigh, byLow, false},
		{"the newer of two that the lower address dialled", byLow, byLow, false},
		{"the newer of two that the higher address dialled", byHigh, byHigh, false},
	} {
		asLow := low.staysLinked(&link{dialed: test.old}, &link{dialed: test.fresh}, "10.0.0.2")
		asHigh := high.staysLinked(&link{dialed: !test.old}, &link{dialed: !test.fresh}, "10.0.0.1")
		assert.Equal(t, test.stays, asLow, test.name)
		assert.Equal(t, test.stays, asHigh, test.name)
	}
}

func TestDataFollowsThePrimary(t *testing.T) {
	n, members := three(t)
	require.ErrorIs(t, members[1].Write(1), ErrNotPrimary)
	require.NoError(t, members[0].Write(5))
	require.Eventually(t, func() bool {
		for _, row := range members[2].Rows() {
			if row.Offset < 5*bytesPerCommand || row.Pending != 0 {
				return false
			}
		}
		return true
	}, 5*time.Second, 10*time.Millisecond, "all members have the data")

	n.kill("10.0.0.3")
	eventually(t, members[0], "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.3 down")
	frozen := members[0].Rows()[2].Offset
	require.NoError(t, members[0].Write(2))
	row := members[0].Rows()[2]
	assert.Equal(t, uint64(2), row.Pending, "commands that the dead member has not taken")
	assert.Equal(t, frozen, row.Offset)
}

func TestSwitchPrimary(t *testing.T) {
	_, members := three(t)
	require.ErrorIs(t, members[0].SwitchPrimary(), ErrPrimary)
	require.NoError(t, members[2].SwitchPrimary())
	for _, member := range members {
		eventually(t, member, "10.0.0.1 ok, 10.0.0.2 ok, 10.0.0.3 ok primary")
	}
}

func TestAnIsolatedMemberIsNoticedBySilence(t *testing.T) {
	_, members := three(t, func(timing *Timing) { timing.Dead = 3 * time.Second })
	members[0].Isolate(true)
	eventually(t, members[1], "10.0.0.1 down, 10.0.0.2 ok primary, 10.0.0.3 ok")
	eventually(t, members[0], "10.0.0.1 ok primary, 10.0.0.2 down, 10.0.0.3 down")
	members[0].Isolate(false)
	eventually(t, members[0], "10.0.0.1 ok, 10.0.0.2 ok primary, 10.0.0.3 ok")
	eventually(t, members[1], "10.0.0.1 ok, 10.0.0.2 ok primary, 10.0.0.3 ok")
	eventually(t, members[2], "10.0.0.1 ok, 10.0.0.2 ok primary, 10.0.0.3 ok")
}

// Naming one member of the group is enough: it tells of the others.
func TestMembersLearnOfEachOtherThroughACommonOne(t *testing.T) {
	n := newLAN(t)
	n.names = []string{"10.0.0.2"}
	members := []*Member{n.add("10.0.0.1", 100), n.add("10.0.0.2", 100), n.add("10.0.0.3", 100)}
	for _, member := range members {
		require.Eventually(t, func() bool {
			rows := member.Rows()
			return len(rows) == 3 && rows[0].Up && rows[1].Up && rows[2].Up
		}, 30*time.Second, 10*time.Millisecond)
	}
	n.kill("10.0.0.3")
	require.Eventually(t, func() bool { return !members[0].Rows()[2].Up }, 30*time.Second, 10*time.Millisecond)
	require.NoError(t, members[0].Reset())
	time.Sleep(2 * quick.Discover)
	assert.Len(t, members[0].Rows(), 2, "nobody tells of the dead")
}

func TestAConnectionFromBeforeAResetJoinsNoMore(t *testing.T) {
	n := newLAN(t)
	member := n.add("10.0.0.1", 100)
	ours, theirs := net.Pipe()
	defer func() { _ = theirs.Close() }()
	run, ok := member.admit(ours)
	require.True(t, ok)
	defer member.links.Done()
	require.NoError(t, member.Reset())
	hello := frame{Kind: kindHello, Group: "apiconnect/gwd", Address: "10.0.0.9", Run: "x"}
	assert.False(t, member.join(newLink(ours, false), hello, run))
}

// A member that comes back from isolation links to one member before the other. It must not take the primary for lost.
func TestNobodyGivesUpAPrimaryThatALinkedMemberReaches(t *testing.T) {
	_, members := three(t, func(timing *Timing) { timing.Failover = time.Nanosecond })
	m := members[2]
	m.mutex.Lock()
	defer m.mutex.Unlock()
	lost := *m.peers["10.0.0.1"]
	lost.link, lost.downSince = nil, time.Now().Add(-time.Hour)
	reaches := *m.peers["10.0.0.2"]
	m.peers = map[string]*peer{"10.0.0.1": &lost, "10.0.0.2": &reaches}
	m.claimedAt = time.Now().Add(-time.Hour)
	reaches.linkedTo = []string{"10.0.0.1", "10.0.0.3"}
	assert.False(t, m.primaryGivenUp(time.Now()))
	reaches.linkedTo = []string{"10.0.0.3"}
	assert.True(t, m.primaryGivenUp(time.Now()))
}

func TestStrangersAreRefused(t *testing.T) {
	n := newLAN(t)
	member := n.add("10.0.0.1", 100)
	greet := func(hello string) error {
		conn, err := n.Dial(t.Context(), "10.0.0.1:16380")
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		_, err = conn.Write([]byte(hello + "\n"))
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(5*time.Second)))
		reader := json.NewDecoder(conn)
		var first frame
		require.NoError(t, reader.Decode(&first), "it greets everybody")
		return reader.Decode(&first)
	}
	for name, hello := range map[string]string{
		"no JSON":          `PING`,
		"another peering":  `{"kind":"hello","group":"apiconnect/tms","address":"10.0.0.2","run":"x"}`,
		"no greeting":      `{"kind":"state","group":"apiconnect/gwd","address":"10.0.0.2","run":"x"}`,
		"its own address":  `{"kind":"hello","group":"apiconnect/gwd","address":"10.0.0.1","run":"x"}`,
		"no address":       `{"kind":"hello","group":"apiconnect/gwd","run":"x"}`,
		"an endless frame": strings.Repeat("x", 2*maxFrame),
	} {
		require.Error(t, greet(hello), name)
	}
	assert.Len(t, member.Rows(), 1)
}

func TestManyMembersAgree(t *testing.T) {
	n := newLAN(t)
	var members []*Member
	for i := range 8 {
		members = append(members, n.add(fmt.Sprintf("10.0.0.%d", i+1), 100))
	}
	want := "10.0.0.1 ok primary"
	for i := 2; i <= 8; i++ {
		want += fmt.Sprintf(", 10.0.0.%d ok", i)
	}
	for _, member := range members {
		eventually(t, member, want)
	}
}
