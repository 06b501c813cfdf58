// SPDX-License-Identifier: Apache-2.0

package datapower_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/datapower-operator/datapower-operator/api/internal/crdtest"
)

// sampleValues fills in what published templates leave open.
var sampleValues = strings.NewReplacer(
	"$my_cp_datapower_instance_name", "capability",
	"$VAR_APIC_NAMESPACE", "apic",
	"$my_ibm_cp_datapower_version", "10.6.0.1",
	"$my_ibm_cp_datapower_license", "L-EYGU-PVGRBC",
	"PARM_DP_SERVICE_NAME", "dp-demo",
	"PARM_REPLICA_COUNT", "3",
	"PARM_LIMITS_CPU", "4",
	"PARM_LIMITS_MEMORY", "8Gi",
)

// sampleUnknownFields are the mistakes in published resources: keys that no version knows and that are dropped.
var sampleUnknownFields = map[string][]string{
	"03-bbeilke-dev1.yaml": {"spec.resources.limit", "spec.resources.request"},
	// One entry of env is indented wrongly, so its value became a field of datapowerMonitor.
	"12-rsundara-v1beta1-with-datapowermonitor.yaml": {"spec.datapowerMonitor.value"},
}

func TestPublishedResourcesAreAccepted(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(shared(t, "samples/datapower"), "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	services := loadServices(t)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			found := 0
			for _, obj := range readServices(t, file) {
				found++
				requireAccepted(t, services, obj, sampleUnknownFields[filepath.Base(file)])
			}
			assert.Positive(t, found, "no DataPowerService in the file")
		})
	}
}

// TestResourcesOfScriptsAreAccepted covers published resources that stand in files which are no YAML: what they set,
// written anew.
func TestResourcesOfScriptsAreAccepted(t *testing.T) {
	tests := map[string]string{
		"a v1beta2 service of a release script, with the env key given twice": `
apiVersion: datapower.ibm.com/v1beta2
kind: DataPowerService
metadata: {name: datapower, namespace: cp4i}
spec:
  env: [{name: DATAPOWER_LOG_LEVEL, value: "3"}]
  license: {accept: true, use: production}
  version: 10.0-eus
  replicas: 5
  resources: {limits: {memory: 8Gi}, requests: {cpu: 4, memory: 4Gi}}
  users: [{name: admin, accessLevel: privileged, passwordSecret: admin-password}]
  labels: {example.com/label: hello}
  annotations: {example.com/annotation: hello}
  env: [{name: DATAPOWER_LOG_LEVEL, value: "3"}, {name: DATAPOWER_LOG_COLOR, value: "true"}]
  domains:
    - {name: default, certs: [{certType: sharedcerts, secret: keys}], dpApp: {config: [default-config]}}
    - {name: testconfig, dpApp: {config: [test-config], local: [test-tar]}}`,
		"a v1beta3 service of a Terraform file, with probes on /healthz": `
apiVersion: datapower.ibm.com/v1beta3
kind: DataPowerService
metadata: {name: edge, namespace: gateways}
spec:
  version: 10.6-cd
  replicas: 1
  license: {accept: true, use: nonproduction, license: L-LQQV-WT4TTD}
  resources: {limits: {memory: 4Gi}, requests: {cpu: "1", memory: 4Gi}}
  domains: [{name: default, dpApp: {config: [web-mgmt]}}]
  livenessProbe:
    httpGet: {path: /healthz, port: 7879, scheme: HTTP}
    initialDelaySeconds: 60
    failureThreshold: 12
  readinessProbe:
    httpGet: {path: /healthz, port: 7879, scheme: HTTP}
    failureThreshold: 24
  users: [{name: admin, accessLevel: privileged, passwordSecret: admin-password}]`,
	}
	services := loadServices(t)
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			requireAccepted(t, services, object(t, text), nil)
		})
	}
}

// requireAccepted requires that a service is accepted, loses only the named unknown fields, and fits into the Go type of its version.
func requireAccepted(t *testing.T, services *crdtest.Definition, obj *unstructured.Unstructured, unknown []string) {
	t.Helper()
	if obj.GetNamespace() == "" {
		obj.SetNamespace("default")
	}
	_, dropped := services.Decode(t, obj)
	assert.ElementsMatch(t, unknown, dropped)
	stored, errs := services.Create(t, obj)
	assert.Empty(t, errs)
	typed, err := newScheme().New(stored.GroupVersionKind())
	require.NoError(t, err)
	assert.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(stored.Object, typed, true))
}

// readServices returns the DataPowerServices among the documents of a file.
func readServices(t *testing.T, path string) []*unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	reader := yaml.NewYAMLReader(bufio.NewReader(strings.NewReader(sampleValues.Replace(string(text)))))
	var services []*unstructured.Unstructured
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return services
		}
		require.NoError(t, err)
		if obj := object(t, string(document)); obj.GetKind() == "DataPowerService" {
			services = append(services, obj)
		}
	}
}
