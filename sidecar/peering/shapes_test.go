package peering

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/datapower-operator/datapower-operator/test/gateway"
	"github.com/datapower-operator/datapower-operator/test/gateway/config"
)

func TestPeeringsOfOneNameInTwoDomainsAreHealedEach(t *testing.T) {
	c := newCluster(t, func(o *gateway.FleetOptions) {
		o.Files = func(*corev1.Pod) (config.Files, error) {
			files := filesOf(onePeering)
			startup := string(files["drouter/config/auto-startup.cfg"])
			files["drouter/config/auto-startup.cfg"] = []byte(startup + "domain \"shop\"\nexit\n")
			files["drouter/config/shop/shop.cfg"] = []byte("gateway-peering \"gwd\"\n  local-port 16390\nexit\n")
			return files, nil
		}
	})
	c.group(3)
	c.replaceLast()
	report := c.work()
	assert.Equal(t, ResultHealed, report.Result(), "%+v", report)
	done := map[string]int{}
	for _, reset := range report.Resets() {
		done[reset.Domain+"/"+reset.Peering]++
	}
	assert.Equal(t, map[string]int{"apiconnect/gwd": 2, "shop/gwd": 2}, done)
	c.healed(3)
}

// A gateway may tell the others another address than its pod's. The address is nobody's pod, but who has it answers for it:
// the row of such a member is no stale peer as long as its link is up.
func TestAMemberThatIsKnownByAnotherAddressIsNotStale(t *testing.T) {
	c := newCluster(t, func(o *gateway.FleetOptions) {
		o.Files = func(pod *corev1.Pod) (config.Files, error) {
			if pod.Name != "gw-2" {
				return filesOf(onePeering), nil
			}
			return filesOf("gateway-peering \"gwd\"\n  local-address 192.0.2.7\n  local-port 16380\nexit\n"), nil
		}
	})
	for i, name := range []string{"gw-0", "gw-1", "gw-2"} {
		c.run(name, []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}[i])
	}
	c.linked("10.0.0.2", "gw-0")
	before := c.fleet.Requests().Last()
	report := c.work(func(o *Options) { o.Policy.Polls = 3 })
	assert.Empty(t, c.writes(before), "%+v", report)
	assert.Zero(t, report.Stale())
}

// Its status cannot be read, so that nothing is known of it; what its user switched off stays off.
func TestAPeeringThatItsUserDisabledOnAGatewayThatAnswersErrorsStaysDisabled(t *testing.T) {
	c := newCluster(t)
	c.group(3)
	client, err := RestGateways{Access: c, Client: c.options}.Connect(t.Context(), c.service(), Pod{IP: "10.0.0.2"})
	require.NoError(t, err)
	require.NoError(t, client.SetAdminState(t.Context(), domain, "gwd", "disabled"))
	c.instance("gw-1").SetFaults(gateway.Faults{ServerErrors: -1})
	c.delete("gw-2")
	c.stale("gw-0", "10.0.0.3")
	before := c.fleet.Requests().Last()
	report := c.work(func(o *Options) { o.Policy.Polls = 3 })
	assert.NotContains(t, c.writes(before), "gw-1 enabled")
	assert.NotEqual(t, ResultHealed, report.Result())
}
