package gateway

import (
	"crypto/x509"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/datapower-operator/datapower-operator/sidecar/datapower"
)

const allUp = "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.3 ok"

// group starts three gateways that peer, and clients for them.
func group(t *testing.T, change ...func(*InstanceOptions)) (*wire, [3]*datapower.Client) {
	t.Helper()
	w := newWire(t)
	var clients [3]*datapower.Client
	for i, address := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"} {
		w.add(address, onePeering, change...)
		clients[i] = w.client(t, address)
	}
	for _, client := range clients {
		eventually(t, client, allUp)
	}
	return w, clients
}

// The whole story of the monitor, by hand: a pod goes, its row stays on the others, a reset of each heals them.
func TestAnActionHealsStalePeers(t *testing.T) {
	calm := func(o *InstanceOptions) { o.Settings.Timing.Failover = 5 * time.Second } // the primary is reset too
	w, clients := group(t, calm)
	w.kill("10.0.0.3")
	w.add("10.0.0.4", onePeering, calm)
	stale := "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.3 down, 10.0.0.4 ok"
	eventually(t, clients[0], stale)
	eventually(t, clients[1], stale)

	offered, err := clients[1].Operations(t.Context(), "apiconnect")
	require.NoError(t, err)
	require.Equal(t, []string{"GatewayPeeringReset", "SaveConfig"}, offered)
	reset := json.RawMessage(`{"GatewayPeeringReset":{"GatewayPeering":"gwd"}}`)
	for _, client := range clients[:2] {
		_, err := client.Action(t.Context(), "apiconnect", reset)
		require.NoError(t, err)
		eventually(t, client, "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.4 ok")
	}
}

func TestTheAdministrativeStateHealsStalePeers(t *testing.T) {
	w, clients := group(t)
	w.kill("10.0.0.3")
	stale := "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.3 down"
	eventually(t, clients[1], stale)

	require.NoError(t, clients[1].SetAdminState(t.Context(), "apiconnect", "gwd", datapower.Disabled))
	status, err := clients[1].PeeringStatus(t.Context(), "apiconnect")
	require.NoError(t, err)
	assert.Empty(t, status, "a disabled peering has no rows")
	peerings, err := clients[1].GatewayPeerings(t.Context(), "apiconnect")
	require.NoError(t, err)
	assert.Equal(t, datapower.Disabled, peerings[0].AdminState)
	assert.Equal(t, "down", peerings[0].OpState)
	eventually(t, clients[0], "10.0.0.1 ok primary, 10.0.0.2 down, 10.0.0.3 down")

	require.NoError(t, clients[1].SetAdminState(t.Context(), "apiconnect", "gwd", datapower.Enabled))
	eventually(t, clients[1], "10.0.0.1 ok primary, 10.0.0.2 ok")
	eventually(t, clients[0], stale)
}

func TestALyingResetChangesNothing(t *testing.T) {
	w, clients := group(t)
	w.kill("10.0.0.3")
	stale := "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.3 down"
	eventually(t, clients[1], stale)
	for _, instance := range w.all() {
		instance.SetFaults(Faults{LyingReset: true})
	}
	require.NoError(t, clients[1].SetAdminState(t.Context(), "apiconnect", "gwd", datapower.Disabled))
	require.NoError(t, clients[1].SetAdminState(t.Context(), "apiconnect", "gwd", datapower.Enabled))
	_, err := clients[1].Action(t.Context(), "apiconnect", json.RawMessage(`{"GatewayPeeringReset":{}}`))
	require.NoError(t, err)
	time.Sleep(2 * quick.Discover)
	eventually(t, clients[1], stale)
}

func TestALostNodeLeavesStaleRowsAndSilence(t *testing.T) {
	w, clients := group(t, func(o *InstanceOptions) { o.Settings.Timing.Dead = 3 * time.Second })
	w.all()[2].SetFaults(Faults{Unreachable: true})
	eventually(t, clients[0], "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.3 down")
	w.all()[2].SetFaults(Faults{})
	eventually(t, clients[0], allUp)
}

func TestSwitchPrimaryAction(t *testing.T) {
	_, clients := group(t, func(o *InstanceOptions) { o.Settings.SwitchPrimaryAction = "GatewayPeeringSwitchPrimary" })
	action := json.RawMessage(`{"GatewayPeeringSwitchPrimary":{"GatewayPeering":"gwd"}}`)
	_, err := clients[2].Action(t.Context(), "apiconnect", action)
	require.NoError(t, err)
	eventually(t, clients[0], "10.0.0.1 ok, 10.0.0.2 ok, 10.0.0.3 ok primary")
	_, err = clients[2].Action(t.Context(), "apiconnect", action)
	require.ErrorContains(t, err, "primary already", "as the gateway's own dialogue does")
}

func TestNewerFirmwareTellsPorts(t *testing.T) {
	w := newWire(t)
	w.add("10.0.0.1", onePeering, func(o *InstanceOptions) { o.Settings.PortsInStatus = true })
	status, err := w.client(t, "10.0.0.1").PeeringStatus(t.Context(), "apiconnect")
	require.NoError(t, err)
	assert.Equal(t, uint16(16380), *status[0].ServicePort)
	assert.Equal(t, uint16(26380), *status[0].MonitorPort)
	assert.Equal(t, uint64(100), *status[0].Priority)
}

func TestConfiguredPeersCount(t *testing.T) {
	w := newWire(t)
	alone := onePeering + `gateway-peering "gwd"
  peer 10.0.0.9
  peer nowhere.example
exit
`
	patient := func(o *InstanceOptions) { o.Settings.Timing.Failover = time.Minute } // the second has to find the first
	w.add("10.0.0.1", alone, patient)
	w.add("10.0.0.2", alone, patient)
	time.Sleep(2 * quick.Discover)
	eventually(t, w.client(t, "10.0.0.1"), "10.0.0.1 ok primary")
	w.add("10.0.0.9", alone, patient)
	eventually(t, w.client(t, "10.0.0.9"), "10.0.0.1 ok primary, 10.0.0.2 ok, 10.0.0.9 ok")
}

func TestOneGatewayOnRealPorts(t *testing.T) {
	host, err := NewHost()
	require.NoError(t, err)
	// Addresses of 127.0.0.0/8 are all this machine, so each gateway can have the real ports.
	addresses := []string{"127.83.19.1", "127.83.19.2"}
	var instances []*Instance
	var listeners []*Listeners
	for _, address := range addresses {
		instance := host.NewInstance(InstanceOptions{
			Name: address, Address: address, Files: files(onePeering), Network: HostNetwork{Static: addresses}, Settings: Settings{Timing: quick},
		})
		listening, err := Listen(instance, address)
		if err != nil && strings.Contains(err.Error(), "in use") {
			t.Skip("another test has the ports: ", err)
		}
		require.NoError(t, err)
		instances, listeners = append(instances, instance), append(listeners, listening)
	}
	client, err := datapower.New(datapower.Options{
		Address: addresses[1] + ":5554", Username: admin, Password: adminPassword,
		TLS: datapower.TLSOptions{Pinned: []*x509.Certificate{host.Certificate()}},
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		rows, err := client.PeeringStatus(t.Context(), "apiconnect")
		return err == nil && len(rows) == 2 && rows[0].Up() && rows[1].Up()
	}, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, client.SetAdminState(t.Context(), "apiconnect", "gwd", datapower.Disabled))
	if conn, err := (HostNetwork{}).Dial(t.Context(), addresses[1]+":16380"); err == nil {
		_, err = conn.Read(make([]byte, 1))
		require.Error(t, err, "a disabled peering accepts nobody")
		require.NoError(t, conn.Close())
	}
	for i := range instances {
		instances[i].Close()
	}
	for i := range listeners {
		require.NoError(t, listeners[i].Close())
	}
	require.NoError(t, host.Close())
}
