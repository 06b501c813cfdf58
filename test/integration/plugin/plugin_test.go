// SPDX-License-Identifier: Apache-2.0

// Package plugin_test runs the kubectl plugin against a real API server. Nothing else runs there.
//
// The test needs etcd and kube-apiserver in the directory that KUBEBUILDER_ASSETS names, and skips without it.
package plugin_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/internal/plugin"
)

const repository = "../../.."

// user runs the plugin against the API server.
type user struct {
	t       *testing.T
	clients plugin.Clients
	out     bytes.Buffer
}

func newUser(t *testing.T) *user {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Skip("KUBEBUILDER_ASSETS names no directory with etcd and kube-apiserver")
	}
	env := &envtest.Environment{
		CRDDirectoryPaths: []string{filepath.Join(repository, "config", "crd", "bases")}, ErrorIfCRDPathMissing: true,
	}
	config, err := env.Start()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, env.Stop()) })
	s, err := plugin.Scheme()
	require.NoError(t, err)
	objects, err := client.New(config, client.Options{Scheme: s})
	require.NoError(t, err)
	core, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return &user{t: t, clients: plugin.Clients{Objects: objects, Logs: core, Discovery: core.Discovery(), Namespace: "default"}}
}

func (u *user) run(args ...string) (string, error) {
	u.out.Reset()
	cmd := plugin.New(plugin.Options{
		IOStreams: genericiooptions.IOStreams{In: &bytes.Buffer{}, Out: &u.out, ErrOut: &bytes.Buffer{}}, Clock: clock.RealClock{},
		Connect: func() (plugin.Clients, error) { return u.clients, nil },
		Chart:   filepath.Join(repository, "helm-charts", "datapowerservice"),
	})
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(u.t.Context())
	return u.out.String(), err
}

func (u *user) must(args ...string) string {
	u.t.Helper()
	out, err := u.run(args...)
	require.NoError(u.t, err)
	return out
}

func (u *user) file(replicas string) string {
	u.t.Helper()
	file := filepath.Join(u.t.TempDir(), "service.yaml")
	require.NoError(u.t, os.WriteFile(file, []byte(`apiVersion: datapower.ibm.com/v1beta3
kind: DataPowerService
metadata: {name: gw}
spec:
  license: {accept: true, use: nonproduction, license: L-RJON-CCCP46}
  version: 10.6-lts
  replicas: `+replicas+`
  users:
    - {name: admin, accessLevel: privileged, passwordSecret: gw-admin}
`), 0o600))
	return file
}

// apply stores the objects of a manifest as the operator would.
func (u *user) apply(list string, owner string) {
	u.t.Helper()
	var decoded struct{ Items []map[string]any }
	require.NoError(u.t, yaml.Unmarshal([]byte(list), &decoded))
	require.NotEmpty(u.t, decoded.Items)
	for _, item := range decoded.Items {
		o := &unstructured.Unstructured{Object: item}
		o.SetNamespace("default")
		require.NoError(u.t, u.clients.Objects.Apply(u.t.Context(), client.ApplyConfigurationFromUnstructured(o), client.FieldOwner(owner)))
	}
}

func TestThePluginAgainstARealAPIServer(t *testing.T) {
	u := newUser(t)
	ctx := t.Context()

	_, err := u.run("render", "-f", u.file("2"))
	require.ErrorContains(t, err, `Secret "gw-admin" not found (spec.users[0].passwordSecret)`)
	_, err = u.run("render", "-f", u.file("many"))
	require.ErrorContains(t, err, "the API server refuses DataPowerService default/gw")

	require.NoError(t, u.clients.Objects.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "gw-admin"}, StringData: map[string]string{"password": "hush"},
	}))
	rendered := u.must("render", "-f", u.file("2"), "-o", "json")
	assert.NotContains(t, rendered, "hush")
	assert.Contains(t, u.must("render", "--diff", "-f", u.file("2")), "+++ rendered/StatefulSet/gw")

	_, err = u.run("status", "gw")
	require.ErrorContains(t, err, `no DataPowerService "gw" in namespace "default"`, "a dry run must store nothing")

	u.apply(rendered, datapower.HelmFieldManager)
	assert.Equal(t, "No differences.\n", u.must("render", "--diff", "-f", u.file("2")))
	diff := u.must("render", "--diff", "-f", u.file("3"))
	assert.Contains(t, diff, "-  replicas: 2\n+  replicas: 3\n")
	assert.NotContains(t, diff, "live/ConfigMap", "an object that stays as it is")

	monitor := &v1beta2.DataPowerMonitor{}
	key := client.ObjectKey{Namespace: "default", Name: "gw"}
	require.NoError(t, u.clients.Objects.Get(ctx, key, monitor), "the chart renders the default monitor")
	_, err = u.run("reset-peering", "gw", "--yes")
	require.ErrorIs(t, err, plugin.ErrNotMonitored)
	monitor.Spec.MonitorGatewayPeering = ptr.To(true)
	require.NoError(t, u.clients.Objects.Update(ctx, monitor))
	generation := monitor.Generation
	u.must("reset-peering", "gw", "--yes")
	require.NoError(t, u.clients.Objects.Get(ctx, key, monitor))
	assert.Equal(t, generation+1, monitor.Generation, "the monitor looks when its generation changes")
}
