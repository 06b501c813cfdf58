package product_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

const oldService = `
apiVersion: datapower.ibm.com/v1beta1
kind: DataPowerService
metadata: {name: gw}
spec:
  replicas: 1
  version: 10.0-lts
  license: {accept: true, use: nonproduction}
  resources: {requests: {cpu: 4, memory: 8Gi}, limits: {memory: 8Gi}}
  users: [{name: admin, accessLevel: privileged, passwordSecret: admin-credentials}]
  datapowerMonitor: {lifecycleDebounceMs: 5000, peeringRecoveryCheckIntervalMs: 2000, monitorGatewayPeering: true}
`

// The DataPowerMonitor gets what the old version's user wrote, and keeps what its own user writes later.
func TestTheMonitorSettingsOfAnOldVersionReachTheMonitorOnce(t *testing.T) {
	s := newScene(t, "old-monitor")
	s.apply(`
apiVersion: v1
kind: Secret
metadata: {name: admin-credentials}
stringData: {password: content}
`)
	s.apply(oldService)
	s.ready("gw")
	s.eventually("dpm/gw", ".spec.lifecycleDebounceMs", "5000")
	s.eventually("dpm/gw", ".spec.peeringRecoveryCheckIntervalMs", "2000")
	s.eventually("dpm/gw", ".spec.monitorGatewayPeering", "true")

	s.must("patch", "dpm/gw", "--type=merge", `--patch={"spec":{"lifecycleDebounceMs":7000,"monitorGatewayPeering":null}}`)
	s.must("annotate", "dp/gw", "reconcile=please")
	s.must("scale", "dp/gw", "--replicas=2")
	s.eventually("dp/gw", ".status.replicas", "2")
	s.ready("gw")
	assert.Never(t, func() bool {
		return s.field("dpm/gw", ".spec.lifecycleDebounceMs") != "7000" || s.field("dpm/gw", ".spec.monitorGatewayPeering") == "true"
	}, 3*time.Second, 500*time.Millisecond, "the settings were given a second time")
	assert.Equal(t, "5000", s.field("datapowerservices.v1beta1.datapower.ibm.com/gw", ".spec.datapowerMonitor.lifecycleDebounceMs"),
		"the old version still reads as it was written")
}
