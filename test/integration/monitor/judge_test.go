package monitor_test

import (
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/datapower-operator/datapower-operator/test/gateway"
)

// judge requires of everything that happened to a service since it was recorded: no more works than the pods were quiet
// for the debounce, none too early, and no reset without a stale peer.
func (s *service) judge() {
	s.Helper()
	s.waitedLongEnough()
	works, quiet := s.works(), s.quietTimes()
	s.Logf("%d works, the pods were quiet for the debounce %d times; %v", works, quiet, s.phases())
	assert.LessOrEqual(s, works, quiet, "each work answers events that no other has answered")
	for _, reset := range s.fleet.Resets(s.namespace, name) {
		assert.NotEmpty(s, reset.Stale, "needless: %+v", reset)
	}
}

// primariesLast requires that no primary was reset while another gateway of its peering listed stale peers. It holds for
// sure only if no more than one pod goes: another one's address may become stale in the moment of the reset.
func (s *service) primariesLast() {
	s.Helper()
	for _, reset := range s.fleet.Resets(s.namespace, name) {
		if reset.Primary {
			assert.Empty(s, reset.Others, "another could have been reset first: %+v", reset)
		}
	}
}

// works counts the recorded works.
func (s *service) works() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	works := 0
	for i, status := range s.statuses {
		if status.WorkInProgress && (i == 0 || !s.statuses[i-1].WorkInProgress) {
			works++
		}
	}
	return works
}

// quietTimes counts how often no event followed for as long as the debounce, by the times of events that the monitor has
// told: those between them were no further apart, because the last one of each pause is told.
func (s *service) quietTimes() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var last time.Time
	times := 0
	for _, status := range s.statuses {
		at, err := time.Parse(time.RFC3339, status.LastEvent)
		if err != nil {
			continue
		}
		if at.Sub(last) >= s.debounce { // the first one after the zero time
			times++
		}
		last = at
	}
	return times
}

// sight is what was to be seen of a service at a time: whether all links between live gateways were up.
type sight struct {
	at     time.Time
	linked bool
}

// watchLinks looks at the links of the live gateways again and again until the returned function is called.
func (s *service) watchLinks() (seen func() []sight) {
	stop, done := make(chan struct{}), make(chan []sight)
	go func() {
		var all []sight
		for {
			select {
			case <-stop:
				done <- all
				return
			case <-time.After(5 * time.Millisecond):
				linked := s.linked()
				all = append(all, sight{time.Now(), linked})
			}
		}
	}()
	return func() []sight { close(stop); return <-done }
}

// linked tells whether every live gateway is linked to every other one.
func (s *service) linked() bool {
	instances := s.fleet.ServiceInstances(s.namespace, name)
	for _, instance := range instances {
		for _, member := range instance.Members() {
			up := 0
			for _, row := range member.Rows() {
				if row.Up && slices.ContainsFunc(instances, func(i *gateway.Instance) bool { return i.Address() == row.Address }) {
					up++
				}
			}
			if up != len(instances) {
				return false
			}
		}
	}
	return true
}

// healedAtOnce requires that the work lost no time: it looks once a second, and the first look resets the first gateway,
// the first one after its links are back the second, the primary. So it takes debounce + 1 s, on a machine that links,
// answers and runs everything in no time. witness is a gateway that nobody has to reset; a question for its peerings is a
// look. One that no reset followed has lost time if all links were up, which may have been too late for the look once. No
// look counts while links are down or nobody could tell, so a busy machine cannot fail this.
func (s *service) healedAtOnce(witness string, since uint64, seen []sight) {
	s.Helper()
	resets := s.fleet.Resets(s.namespace, name)
	require.NotEmpty(s, resets)
	last := resets[len(resets)-1].At
	s.Logf("the last stale peer was gone %s after the last event, with a debounce of %s",
		last.Sub(s.lastEvent()).Round(time.Millisecond), s.debounce)
	var looks []time.Time
	for _, request := range s.fleet.Requests().Since(since) {
		if request.Instance == s.namespace+"/"+witness && strings.HasSuffix(request.Path, "/GatewayPeeringStatus") &&
			request.Begin.Before(last) && request.Begin.After(s.lastEvent()) {
			looks = append(looks, request.Begin)
		}
	}
	require.NotEmpty(s, looks)
	lost := 0
	for i, look := range looks {
		next := last
		if i+1 < len(looks) {
			next = looks[i+1]
		}
		followed := slices.ContainsFunc(resets, func(r gateway.Reset) bool { return r.At.After(look) && !r.At.After(next) })
		if !followed && linkedAround(seen, look) {
			lost++
		}
	}
	s.Logf("%d looks until then, %d of them to no avail", len(looks), lost)
	assert.LessOrEqual(s, lost, 1, "the work looked on, and could have reset")
}

// linkedAround tells whether all links were up shortly before and after a time, and somebody has seen it.
func linkedAround(seen []sight, at time.Time) bool {
	const around = 100 * time.Millisecond
	before, after := false, false
	for _, sight := range seen {
		if sight.at.Before(at.Add(-around)) || sight.at.After(at.Add(around)) {
			continue
		}
		if !sight.linked {
			return false
		}
		before = before || !sight.at.After(at)
		after = after || sight.at.After(at)
	}
	return before && after
}
