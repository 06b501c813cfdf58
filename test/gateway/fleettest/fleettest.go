// Package fleettest starts fleets of stand-in gateways for tests that have a cluster.
package fleettest

import (
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/datapower-operator/datapower-operator/test/gateway"
)

// Start starts a fleet for the pods of a cluster and stops it at the test's end. The options' Client may be nil; it is
// made from the configuration, without a limit on requests.
func Start(t testing.TB, config *rest.Config, options gateway.FleetOptions) *gateway.Fleet {
	t.Helper()
	if options.Client == nil {
		config = rest.CopyConfig(config)
		config.QPS = -1
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatalf("make a client for the fleet: %v", err)
		}
		options.Client = client
	}
	fleet, err := gateway.StartFleet(t.Context(), options)
	if err != nil {
		t.Fatalf("start a fleet: %v", err)
	}
	t.Cleanup(func() {
		if err := fleet.Stop(); err != nil {
			t.Errorf("stop the fleet: %v", err)
		}
	})
	return fleet
}

// WaitHealed waits until a service has so many live gateways whose peerings are all as they should be, and fails the test
// when that takes too long.
func WaitHealed(t testing.TB, fleet *gateway.Fleet, namespace, service string, replicas int, patience time.Duration) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := fleet.Healed(namespace, service)
		count := len(fleet.ServiceInstances(namespace, service))
		if err == nil && count == replicas {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s/%s has %d gateways of %d after %s: %v", namespace, service, count, replicas, patience, err)
		}
	}
}
