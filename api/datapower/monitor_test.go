// SPDX-License-Identifier: Apache-2.0

package datapower_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

func monitor(t testing.TB, fields string) *unstructured.Unstructured {
	t.Helper()
	obj := object(t, "{apiVersion: datapower.ibm.com/v1beta2, kind: DataPowerMonitor, metadata: {name: gw, namespace: gateways}}")
	more := map[string]any{}
	require.NoError(t, yaml.Unmarshal([]byte(fields), &more))
	for name, value := range more {
		obj.Object[name] = value
	}
	return obj
}

func TestMonitorDefaults(t *testing.T) {
	defaults := map[string]any{
		"lifecycleDebounceMs": int64(10000), "peeringRecoveryCheckIntervalMs": int64(1000), "monitorGatewayPeering": false,
	}
	tests := map[string]struct {
		fields string
		spec   map[string]any
	}{
		"a monitor without spec gets the defaults":       {fields: `{}`, spec: defaults},
		"a monitor with an empty spec gets the defaults": {fields: `spec: {}`, spec: defaults},
		"a monitor keeps what its user says": {
			fields: `spec: {lifecycleDebounceMs: 1000, peeringRecoveryCheckIntervalMs: 2000, monitorGatewayPeering: true}`,
			spec: map[string]any{
				"lifecycleDebounceMs": int64(1000), "peeringRecoveryCheckIntervalMs": int64(2000), "monitorGatewayPeering": true,
			},
		},
		"the port of the REST management interface is that of the gateways": {
			fields: `spec: {lifecycleDebounceMs: 1000, peeringRecoveryCheckIntervalMs: 2000, monitorGatewayPeering: true, restManagement: {}}`,
			spec: map[string]any{
				"lifecycleDebounceMs": int64(1000), "peeringRecoveryCheckIntervalMs": int64(2000), "monitorGatewayPeering": true,
				"restManagement": map[string]any{"port": int64(5554)},
			},
		},
	}
	monitors := loadMonitors(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			stored, errs := monitors.Create(t, monitor(t, test.fields))
			assert.Empty(t, errs)
			assert.Equal(t, test.spec, stored.Object["spec"])
		})
	}
}

func TestMonitorRules(t *testing.T) {
	tests := map[string]struct{ fields, path, message string }{
		"the debounce is at least a second": {
			fields: `spec: {lifecycleDebounceMs: 999}`,
			path:   "spec.lifecycleDebounceMs", message: "should be greater than or equal to 1000",
		},
		"the check interval is at least a second": {
			fields: `spec: {peeringRecoveryCheckIntervalMs: 999}`,
			path:   "spec.peeringRecoveryCheckIntervalMs", message: "should be greater than or equal to 1000",
		},
		"monitoring is on or off": {
			fields: `spec: {monitorGatewayPeering: "yes"}`,
			path:   "spec.monitorGatewayPeering", message: "must be of type boolean",
		},
		"a port is a number of a port": {
			fields: `spec: {restManagement: {port: 65536}}`,
			path:   "spec.restManagement.port", message: "should be less than or equal to 65535",
		},
		"gateways are verified or not": {
			fields: `spec: {restManagement: {tls: {secretName: a, insecureSkipVerify: true}}}`,
			path:   "spec.restManagement.tls.insecureSkipVerify", message: "exclude each other",
		},
	}
	monitors := loadMonitors(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, errs := monitors.Create(t, monitor(t, test.fields))
			requireRefused(t, errs, test.path, test.message)
		})
	}
}
