package peering

import (
	"encoding/pem"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/datapower-operator/datapower-operator/sidecar/datapower"
	"github.com/datapower-operator/datapower-operator/test/gateway"
)

func TestNothingToDo(t *testing.T) {
	c := newCluster(t)
	c.group(3)
	before := c.fleet.Requests().Last()
	report := c.work()
	assert.Equal(t, ResultClean, report.Result(), "%+v", report)
	assert.Equal(t, 3, report.LookedAt())
	assert.Empty(t, c.writes(before))
	assert.Len(t, c.fleet.Requests().Since(before), 3*4, "domains, peerings of two domains, status of one, of each gateway and once")
	require.Len(t, report.Pods[0].Peerings, 1)
	assert.Equal(t, PeeringReport{
		Domain: domain, Name: "gwd", Primary: true, Members: []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"},
	}, report.Pods[0].Peerings[0])
	assert.Zero(t, c.liveReads, "nothing is read live without a reset")
}

func TestStalePeersAreResetByAnAction(t *testing.T) {
	c := newCluster(t)
	c.group(3)
	c.replaceLast()
	before := c.fleet.Requests().Last()
	observer := &heard{}
	report := c.work(func(o *Options) { o.Observer = observer })
	assert.Equal(t, ResultHealed, report.Result(), "%+v", report)
	assert.Equal(t, []string{"gw-1 GatewayPeeringReset", "gw-0 GatewayPeeringReset"}, c.writes(before), "the primary last")
	assert.Equal(t, 2, report.Found())
	assert.Zero(t, report.Stale())
	assert.Equal(t, []string{"gw-0 healed", "gw-1 healed"}, results(report))
	assert.Equal(t, []string{"10.0.0.3"}, report.Pods[0].Resets[0].Stale)
	assert.True(t, report.Pods[0].Resets[0].Primary)
	assert.Equal(t, "action:GatewayPeeringReset", report.Pods[1].Resets[0].Strategy)
	assert.Len(t, observer.resets, 2)
	c.healed(3)
}

func TestStalePeersAreResetByTheAdministrativeState(t *testing.T) {
	c := newCluster(t)
	c.group(3)
	c.replaceLast()
	for _, name := range []string{"gw-0", "gw-1", "gw-2"} {
		c.instance(name).SetFaults(gateway.Faults{NoResetAction: true})
	}
	before := c.fleet.Requests().Last()
	report := c.work()
	assert.Equal(t, ResultHealed, report.Result(), "%+v", report)
	assert.Equal(t, []string{"gw-1 disabled", "gw-1 enabled", "gw-0 disabled", "gw-0 enabled"}, c.writes(before))
	c.healed(3)
}

// workUntilHealed works again and again, as pod events and the regular look make the monitor do.
func (c *cluster) workUntilHealed(count int) {
	c.t.Helper()
	var report Report
	for range 10 {
		report = c.work()
		if result := report.Result(); result == ResultClean || result == ResultHealed {
			break
		}
	}
	assert.Contains(c.t, []Result{ResultClean, ResultHealed}, report.Result(), "%+v", report)
	c.healed(count)
}

func TestScenarios(t *testing.T) {
	for _, way := range []string{"action", "administrative state"} {
		options := func(o *gateway.FleetOptions) {
			if way != "action" {
				o.Settings.ResetAction = gateway.NoAction
			}
		}
		t.Run("scale 5 to 2 to 5, by "+way, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, options)
			c.group(5)
			for _, name := range []string{"gw-4", "gw-3", "gw-2"} {
				c.delete(name)
			}
			c.stale("gw-0", "10.0.0.5")
			c.workUntilHealed(2)
			for i, name := range []string{"gw-2", "gw-3", "gw-4"} {
				c.run(name, "10.0.1."+string(rune('1'+i)))
			}
			c.workUntilHealed(5)
		})
		t.Run("the primary and another at once, by "+way, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, options)
			c.group(3)
			c.delete("gw-0")
			c.delete("gw-1")
			c.run("gw-0", "10.0.1.1")
			c.run("gw-1", "10.0.1.2")
			c.stale("gw-2", "10.0.0.1")
			c.workUntilHealed(3)
		})
		t.Run("one after the other, overlapping, by "+way, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, options)
			c.group(3)
			for i, name := range []string{"gw-2", "gw-1", "gw-0"} {
				c.delete(name)
				c.run(name, "10.0.1."+string(rune('1'+i)))
				c.linked("10.0.1."+string(rune('1'+i)), "gw-0", "gw-1", "gw-2")
			}
			c.workUntilHealed(3)
		})
	}
}

func TestAJournalEntryOfADeadProcess(t *testing.T) {
	c := newCluster(t)
	c.group(3)
	c.replaceLast()
	client, err := RestGateways{Access: c, Client: c.options}.Connect(t.Context(), c.service(), Pod{IP: "10.0.0.2"})
	require.NoError(t, err)
	require.NoError(t, client.SetAdminState(t.Context(), domain, "gwd", "disabled"))
	left := Reset{Pod: "gw-1", PodUID: "uid-2", Domain: domain, Peering: "gwd", Strategy: StrategyAdminState}
	gone := Reset{Pod: "gw-2", PodUID: "uid-3", Domain: domain, Peering: "gwd", Strategy: StrategyAdminState}
	j := &journal{t: t, open: []Reset{left, gone}}
	before := c.fleet.Requests().Last()
	report := c.worker().Work(t.Context(), c.service(left, gone), j)
	assert.Equal(t, ResultHealed, report.Result(), "%+v", report)
	assert.Empty(t, j.open)
	assert.Equal(t, []string{"gw-1 enabled", "gw-0 GatewayPeeringReset"}, c.writes(before), "what is open comes first, and it was a reset of gw-1 too")
	c.healed(3)
}

func TestAPeeringThatItsUserDisabled(t *testing.T) {
	c := newCluster(t)
	c.group(3)
	client, err := RestGateways{Access: c, Client: c.options}.Connect(t.Context(), c.service(), Pod{IP: "10.0.0.2"})
	require.NoError(t, err)
	require.NoError(t, client.SetAdminState(t.Context(), domain, "gwd", "disabled"))
	before := c.fleet.Requests().Last()
	report := c.work(func(o *Options) { o.Policy.Polls = 3 })
	assert.Empty(t, c.writes(before))
	assert.True(t, report.Pods[1].Peerings[0].AdminDisabled)
}

func TestAReasonThatGoesAway(t *testing.T) {
	t.Run("the cache is behind, a live pod has the address", func(t *testing.T) {
		c := newCluster(t)
		c.group(3)
		var err error
		c.behind, err = c.list(t.Context())
		require.NoError(t, err)
		c.behind = c.behind[:2] // as if gw-2 were gone
		c.instance("gw-2").Member(domain, "gwd").Disable()
		c.stale("gw-0", "10.0.0.3")
		c.stale("gw-1", "10.0.0.3")
		before := c.fleet.Requests().Last()
		c.work(func(o *Options) { o.Policy.Polls = 3 })
		assert.Empty(t, c.writes(before))
		assert.NotZero(t, c.liveReads)
	})
	t.Run("a new pod takes the stale address right before the reset", func(t *testing.T) {
		c := newCluster(t)
		c.group(3)
		c.replaceLast()
		c.beforeLive = func() {
			c.beforeLive = nil
			c.run("gw-3", "10.0.0.3")
		}
		before := c.fleet.Requests().Last()
		c.work()
		assert.Empty(t, c.writes(before))
		c.healed(4)
	})
	t.Run("somebody resets it right before the reset", func(t *testing.T) {
		c := newCluster(t)
		c.group(3)
		c.replaceLast()
		byHand := sync.OnceFunc(func() {
			for _, name := range []string{"gw-0", "gw-1"} {
				assert.NoError(t, c.instance(name).Member(domain, "gwd").Reset())
			}
			c.healed(3)
		})
		before := c.fleet.Requests().Last()
		c.work(func(o *Options) {
			o.Gateways = RestGateways{Access: c, Client: c.options, Observe: func(_ Service, call datapower.Call) {
				if call.Operation == "operations" { // the last question before the rows are read again
					byHand()
				}
			}}
		})
		assert.Empty(t, c.writes(before))
	})
	t.Run("the pod is replaced right before its reset", func(t *testing.T) {
		c := newCluster(t)
		c.group(3)
		c.replaceLast()
		c.beforeLive = func() {
			c.beforeLive = nil
			c.delete("gw-1")
			c.run("gw-1", "10.0.0.9")
		}
		c.workUntilHealed(3)
	})
}

func TestAJournalThatFails(t *testing.T) {
	c := newCluster(t)
	c.group(3)
	c.replaceLast()
	before := c.fleet.Requests().Last()
	j := &journal{t: t, failBegin: true}
	report := c.worker().Work(t.Context(), c.service(), j)
	assert.Contains(t, reasons(report), ReasonJournal)
	assert.Empty(t, c.writes(before), "what is not recorded is not begun")
}

func TestSeveralPeerings(t *testing.T) {
	c := newCluster(t)
	c.peerings = onePeering + "gateway-peering \"subs\"\n  local-port 16381\nexit\n"
	c.group(3)
	c.replaceLast()
	report := c.work()
	assert.Equal(t, ResultHealed, report.Result(), "%+v", report)
	assert.Len(t, report.Resets(), 4)
	c.healed(3)
}

func TestLookChangesNothing(t *testing.T) {
	c := newCluster(t)
	c.group(3)
	c.replaceLast()
	before := c.fleet.Requests().Last()
	report := c.worker().Look(t.Context(), c.service())
	assert.Equal(t, 2, report.Stale())
	assert.Equal(t, 3, report.LookedAt())
	assert.Empty(t, c.writes(before))
	assert.Zero(t, c.liveReads)
}

func TestWaitingForAPodEndsTheWork(t *testing.T) {
	c := newCluster(t)
	c.group(3)
	c.replaceLast()
	c.run("gw-3", "")
	before := c.fleet.Requests().Last()
	report := c.work()
	assert.Equal(t, ResultWaiting, report.Result(), "%+v", report)
	assert.Contains(t, reasons(report), ReasonWaitingForPods)
	assert.Empty(t, c.writes(before))
	assert.Less(t, len(c.fleet.Requests().Since(before)), 2*12, "it does not poll: a pod event will tell")
}

func TestCertificatesOfAnAuthority(t *testing.T) {
	authority, err := gateway.NewAuthority()
	require.NoError(t, err)
	c := newCluster(t, func(o *gateway.FleetOptions) { o.Authority = authority })
	c.settings = RestSettings{CAs: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Certificate().Raw})}
	c.group(2)
	assert.Equal(t, ResultClean, c.work().Result())
	c.settings.Pinned = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.fleet.Host().Certificate().Raw})
	assert.Equal(t, ResultClean, c.work().Result(), "either of both is enough")
	c.settings.CAs = nil
	assert.Equal(t, []Reason{ReasonCertificateNotTrusted, ReasonCertificateNotTrusted}, reasons(c.work()))
	c.settings = RestSettings{}
	assert.Equal(t, []Reason{ReasonCertificateNotTrusted, ReasonCertificateNotTrusted}, reasons(c.work()))
	c.settings = RestSettings{InsecureSkipVerify: true}
	assert.Equal(t, ResultClean, c.work().Result())
	c.settings = RestSettings{CAs: []byte("nonsense")}
	assert.Equal(t, []Reason{ReasonTLSSettings, ReasonTLSSettings}, reasons(c.work()))
}

func TestCredentials(t *testing.T) {
	c := newCluster(t)
	c.group(1)
	c.secrets["hashed"] = map[string][]byte{"password-hashed": []byte("$1$12345678$8.nskQfP4gQ8tk5xw6Wa8/")}
	c.logins = []Login{{Name: "watcher", Secret: "none"}, {Name: "admin", Secret: "hashed", Privileged: true}}
	assert.Equal(t, []Reason{ReasonPasswordHashed}, reasons(c.work()))
	c.logins = []Login{{Name: "admin", Secret: "none", Privileged: true}}
	assert.Equal(t, []Reason{ReasonCredentialsMissing}, reasons(c.work()))
	c.logins = []Login{{Name: "nobody", Secret: "none"}, {Name: "admin", Secret: "admin", Privileged: true}}
	assert.Equal(t, ResultClean, c.work().Result(), "the privileged user goes first")
}
