package monitor_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/datapower-operator/datapower-operator/test/gateway"
	"github.com/datapower-operator/datapower-operator/test/gateway/fleettest"
)

// moment is when the sidecar dies: at the n-th REST call or status write after a pod was deleted, counted from 1.
type moment struct {
	of string
	n  int
}

func (m moment) String() string { return fmt.Sprintf("%s %d", m.of, m.n) }

const (
	restCall    = "REST call"
	statusWrite = "status write"
)

// sampled are the moments that run by default; a scenario has about 50 REST calls and 13 status writes with actions, and
// more with the administrative state.
var sampled = []moment{{statusWrite, 1}, {statusWrite, 3}, {restCall, 15}, {restCall, 22}}

// maxMoment is beyond the last moment of the scenario.
const maxMoment = 200

func TestKillingTheSidecarAtAnyMomentLeavesTheSameEndState(t *testing.T) {
	w := newWorld(t, 6, "--monitor-retry-interval=2s")
	for _, strategy := range []struct {
		name   string
		faults gateway.Faults
	}{{"action", gateway.Faults{}}, {"admin-state", gateway.Faults{NoResetAction: true}}} {
		t.Run(strategy.name, func(t *testing.T) {
			v := w.at(t)
			v.startSidecar()
			defer func() { w.sidecar.kill() }()
			s := v.newService("kill-"+strategy.name, 3, time.Second)
			s.idle()
			s.record()
			if !full {
				for _, m := range sampled {
					v.Logf("killed at %s: %v", m, s.strike(m, strategy.faults))
				}
				return
			}
			for _, of := range []string{statusWrite, restCall} {
				n := 1
				for ; n < maxMoment && s.strike(moment{of, n}, strategy.faults); n++ {
				}
				v.Logf("%d moments of kind %s", n-1, of)
			}
		})
	}
}

// strike runs the scenario of a deleted pod and kills the sidecar in it. It tells whether the moment came.
func (s *service) strike(m moment, faults gateway.Faults) (struck bool) {
	s.Helper()
	for ordinal := range 3 {
		s.instance(ordinal).SetFaults(faults)
	}
	release := s.cordon(2)
	defer release()
	old := s.instance(2).Address()
	writes, calls := s.writes(), s.fleet.Requests().Last()
	s.deletePod(2)
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Microsecond) {
		at := s.writes() - writes
		if m.of == restCall {
			at = int(s.fleet.Requests().Last() - calls)
		}
		if struck = at >= m.n; struck {
			break
		}
		status := s.monitor().Status
		instance := s.fleet.Instance(s.namespace, s.pod(2))
		if instance != nil && instance.Address() != old && s.fleet.Healed(s.namespace, name) == nil &&
			!status.WorkPending && !status.WorkInProgress && status.LastWork != nil && s.writes() > writes+2 {
			return false
		}
		require.True(s, time.Now().Before(deadline), "neither %s nor the end came", m)
	}
	s.root.sidecar.kill()
	s.startSidecar()
	fleettest.WaitHealed(s, s.fleet, s.namespace, name, 3, patience)
	s.idle()
	require.Empty(s, s.monitor().Status.Resets, "after %s", m)
	require.NoError(s, s.fleet.Healed(s.namespace, name), "after %s", m)
	for ordinal := range 3 {
		require.False(s, s.lists(ordinal, old), "after %s", m)
	}
	require.False(s, strings.Contains(s.root.sidecar.tail(1_000_000), "panic"), "after %s", m)
	return true
}
