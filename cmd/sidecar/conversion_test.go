package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/sidecar/catalogue"
	"github.com/datapower-operator/datapower-operator/webhooks/conversionruntime"
	"github.com/datapower-operator/datapower-operator/webhooks/pki"
)

// converts looks at conversion with the rights of testdata/role.yaml.
func (r *rig) converts(t *testing.T) {
	old := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "datapower.ibm.com/v1beta1", "kind": "DataPowerService",
		"metadata": map[string]any{"namespace": watched, "name": "old"},
		"spec": map[string]any{"replicas": int64(1), "version": "10.6-lts", "license": map[string]any{"accept": true, "use": "nonproduction"},
			"users":            []any{map[string]any{"name": "admin", "passwordSecret": "s", "accessLevel": "privileged"}},
			"datapowerMonitor": map[string]any{"lifecycleDebounceMs": int64(20000)}},
	}}
	// Until the stanza is there, the API server only renames versions.
	require.Eventually(t, func() bool { return strings.Contains(r.log.String(), "the conversion webhook serves") }, patience, tick, "%s", r.log)
	require.Eventually(t, func() bool { return r.admin.Create(t.Context(), old) == nil }, patience, tick, "%s", r.log)
	now := newService(watched)
	require.NoError(t, r.admin.Get(t.Context(), client.ObjectKey{Namespace: watched, Name: "old"}, now))
	assert.NotEmpty(t, now.Annotations[datapower.MonitorSettingsAnnotation])
	for _, object := range []client.Object{
		&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: conversionruntime.Name}},
		&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: conversionruntime.Name}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: conversionruntime.AccountName}},
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: conversionruntime.AccountName}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: conversionruntime.SecretName}},
	} {
		// Damage is undone with the same rights.
		key := client.ObjectKeyFromObject(object)
		require.Eventually(t, func() bool { return r.admin.Get(t.Context(), key, object) == nil }, patience, tick, "%T\n%s", object, r.log)
		uid := object.GetUID()
		object.SetOwnerReferences(nil)
		_ = r.admin.Update(t.Context(), object)
		require.NoError(t, r.admin.Delete(t.Context(), object))
		require.Eventually(t, func() bool {
			return r.admin.Get(t.Context(), key, object) == nil && object.GetUID() != uid
		}, patience, tick, "%T\n%s", object, r.log)
	}

	definition := &unstructured.Unstructured{}
	definition.SetAPIVersion("apiextensions.k8s.io/v1")
	definition.SetKind("CustomResourceDefinition")
	stored := func() []string {
		require.NoError(t, r.admin.Get(t.Context(), client.ObjectKey{Name: conversionruntime.CRDName}, definition))
		versions, _, _ := unstructured.NestedStringSlice(definition.Object, "status", "storedVersions")
		return versions
	}
	require.Eventually(t, func() bool {
		stored()
		_ = unstructured.SetNestedStringSlice(definition.Object, []string{"v1beta1", "v1beta3"}, "status", "storedVersions")
		return r.admin.Status().Update(t.Context(), definition) == nil
	}, patience, tick)
	require.Eventually(t, func() bool { return slices.Equal(stored(), []string{"v1beta3"}) }, patience, tick, "%s", r.log)
	require.NoError(t, r.admin.Delete(t.Context(), old))
}

func TestTheNameOfALicenceIsFilledInOnlyWhereOneIsKnown(t *testing.T) {
	known, err := catalogue.Parse([]byte(`catalogue:
  aliases: {10.0-eus: 10.0-lts}
  channels: {10.0-lts: {version: 10.0.1.9}}
  versions:
    10.0.1.9: {licenses: [L-AAAA-AAAAAA, L-BBBB-BBBBBB, L-CCCC-CCCCCC]}
    10.5.0.0: {licenses: [L-DDDD-DDDDDD]}
  licenses:
    L-AAAA-AAAAAA: {uses: [production]}
    L-BBBB-BBBBBB: {uses: [nonproduction, developers]}
    L-CCCC-CCCCCC: {uses: [developers]}
    L-DDDD-DDDDDD: {}
`))
	require.NoError(t, err)
	licence := licenceOf(known)
	assert.Equal(t, "L-AAAA-AAAAAA", licence("10.0.1.9", "production"))
	assert.Equal(t, "L-AAAA-AAAAAA", licence("10.0-eus", "production"), "by a former name of the channel")
	assert.Empty(t, licence("10.0-lts", "developers"), "two would do")
	assert.Empty(t, licence("10.5.0.0", "production"), "nobody knows what it is for")
	assert.Empty(t, licence("9.9", "production"))
}

func TestTheModeOfConversionFollowsFromWhereTheProgramRuns(t *testing.T) {
	for name, tc := range map[string]struct {
		flag, pod, mode string
		fails           bool
	}{
		"auto in a pod is a Deployment":    {"auto", "operators", "deployment", false},
		"auto outside of one is off":       {"auto", "", "off", false},
		"what is said counts":              {"process", "operators", "process", false},
		"what is no mode is a usage error": {"sometimes", "", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			opts, err := parse([]string{"--conversion=" + tc.flag}, func(key string) string { return map[string]string{"POD_NAMESPACE": tc.pod}[key] }, io.Discard)
			if tc.fails {
				require.ErrorIs(t, err, errConversionMode)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tc.mode, opts.conversion.mode)
		})
	}
}

// writeLeaf writes the certificate files of a new leaf.
func writeLeaf(t *testing.T, dir string, ca pki.Pair) {
	t.Helper()
	leaf, err := pki.Issue(ca, pki.Names{DNS: []string{"webhook.svc"}}, time.Now(), pki.DefaultPolicy())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tls.key"), leaf.Key, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tls.crt"), leaf.Cert, 0o600))
}

func TestTheSubCommandServesFromFilesWithoutAnAPIServerAndTakesNewOnesOver(t *testing.T) {
	dir := t.TempDir()
	old, err := pki.NewCA("old", time.Now(), pki.DefaultPolicy())
	require.NoError(t, err)
	fresh, err := pki.NewCA("new", time.Now(), pki.DefaultPolicy())
	require.NoError(t, err)
	writeLeaf(t, dir, old)
	address, health := freeAddress(t), freeAddress(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stderr bytes.Buffer
	exited := make(chan int, 1)
	go func() {
		exited <- runWebhook(ctx, []string{"--cert-dir", dir, "--bind-address", address, "--health-probe-bind-address", health, "--drain=1s",
			"--chart-values", filepath.Join("..", "..", "helm-charts", "datapowerservice", "values.yaml")}, &stderr)
	}()
	serves := func(ca pki.Pair) bool {
		certs, err := pki.ParseBundle(ca.Cert)
		require.NoError(t, err)
		return pki.Handshake(t.Context(), address, "webhook.svc", []*x509.Certificate{certs[0]}) == nil
	}
	require.Eventually(t, func() bool { return serves(old) }, patience, tick)
	require.Eventually(t, func() bool { return get(t, "http://"+health+"/readyz", "") == http.StatusOK }, patience, tick)
	assert.Equal(t, http.StatusOK, get(t, "http://"+health+"/metrics", ""))
	writeLeaf(t, dir, fresh)
	require.Eventually(t, func() bool { return serves(fresh) }, patience, tick, "the files changed")
	cancel()
	require.Eventually(t, func() bool { return get(t, "http://"+health+"/readyz", "") != http.StatusOK }, patience, 10*time.Millisecond)
	assert.Equal(t, exitOK, <-exited)
}

func TestTheSubCommandSaysWhatIsWrong(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		code int
		says string
	}{
		"an unknown flag":  {[]string{"--no"}, exitUsage, "unknown flag"},
		"an argument":      {[]string{"more"}, exitUsage, `unexpected argument "more"`},
		"no certificate":   {[]string{"--cert-dir=/does/not/exist", "--chart-values=../../helm-charts/datapowerservice/values.yaml"}, exitError, "/does/not/exist"},
		"no chart":         {[]string{"--chart-values=/does/not/exist"}, exitError, "loading the catalogue"},
		"help is no error": {[]string{"--help"}, exitOK, "--cert-dir"},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			assert.Equal(t, tc.code, run(t.Context(), append([]string{webhookSubcommand}, tc.args...), os.Getenv, &stderr))
			assert.Contains(t, stderr.String(), tc.says)
		})
	}
}
