package datapowerservice_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/helm-operator/mapper"
	"github.com/datapower-operator/datapower-operator/helm-operator/mapper/datapowerservice"
)

var monitorKind = schema.GroupVersionKind{Group: "datapower.ibm.com", Version: "v1beta2", Kind: "DataPowerMonitor"}

// service is DataPowerService prod/gw with the given spec in YAML.
func service(t *testing.T, spec string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{Object: map[string]any{}}
	var fields map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(spec), &fields))
	u.Object["spec"] = fields
	u.SetAPIVersion("datapower.ibm.com/v1beta3")
	u.SetKind("DataPowerService")
	u.SetNamespace("prod")
	u.SetName("gw")
	u.SetUID("uid-gw")
	return u
}

// everything names an object in each way that a spec can.
const everything = `
version: 10.6-lts
users:
- {name: admin, accessLevel: privileged, passwordSecret: admin-credentials}
domains:
- name: web
  certs: [{certType: usrcerts, secret: web-cert}]
  dpApp: {config: [web-config], local: [web-local]}
  passphraseSecret: web-phrase
  passwordMap:
  - {alias: db, secret: db-password}
  - {alias: mq, generate: true}
- name: api
  settings: {passphrase: {generate: true}}
extraExe: [tools]
env:
- {name: A, valueFrom: {secretKeyRef: {name: env-secret, key: a}}}
- {name: B, valueFrom: {configMapKeyRef: {name: env-config, key: b, optional: true}}}
snmp: {generator: {config: snmp-config}}
`

func ref(kind, name string) mapper.Reference {
	return mapper.Reference{GroupVersionKind: schema.GroupVersionKind{Version: "v1", Kind: kind}, Name: name}
}

func TestEveryObjectThatThePodsNeedIsWatched(t *testing.T) {
	got, err := datapowerservice.Mapper{}.References(service(t, everything))
	require.NoError(t, err)
	assert.ElementsMatch(t, []mapper.Reference{
		{GroupVersionKind: monitorKind, Name: "gw"},
		ref("Secret", "admin-credentials"), ref("Secret", "web-cert"), ref("ConfigMap", "web-config"), ref("ConfigMap", "web-local"),
		ref("Secret", "web-phrase"), ref("Secret", "db-password"), ref("ConfigMap", "tools"), ref("Secret", "env-secret"),
		ref("ConfigMap", "env-config"), ref("ConfigMap", "snmp-config"),
		ref("Secret", "gw-web-mq-password"), ref("Secret", "gw-api-passphrase"),
	}, got)
}

func TestAServiceThatNamesNothingWatchesItsMonitorOnly(t *testing.T) {
	got, err := datapowerservice.Mapper{}.References(service(t, "version: 10.6-lts"))
	require.NoError(t, err)
	assert.Equal(t, []mapper.Reference{{GroupVersionKind: monitorKind, Name: "gw"}}, got)
}

func TestSecretsThatTheSpecAsksForAreGenerated(t *testing.T) {
	got, err := datapowerservice.Mapper{}.Generated(service(t, everything))
	require.NoError(t, err)
	assert.Equal(t, []mapper.GeneratedSecret{
		{Name: "gw-web-mq-password", Key: "password", Length: 32}, {Name: "gw-api-passphrase", Key: "passphrase", Length: 32},
	}, got)
	got, err = datapowerservice.Mapper{}.Generated(service(t, "version: 10.6-lts"))
	require.NoError(t, err)
	assert.Empty(t, got)
}

// cluster answers for the objects that are there.
type cluster struct {
	hashes map[mapper.Reference]string
	words  map[mapper.Reference]map[string]bool // absent: a usable password
	owner  *string                              // of the monitor; nil when there is none
	fail   error
	asked  []string // namespaces
}

func (c *cluster) ContentHash(_ context.Context, r mapper.Reference, namespace string) (string, bool, error) {
	c.asked = append(c.asked, namespace)
	h, ok := c.hashes[r]
	return h, ok, c.fail
}

func (c *cluster) Words(_ context.Context, r mapper.Reference, _ string) (map[string]bool, bool, error) {
	if _, ok := c.hashes[r]; !ok {
		return nil, false, c.fail
	}
	if words, ok := c.words[r]; ok {
		return words, true, c.fail
	}
	return map[string]bool{"password": true}, true, c.fail
}

func (c *cluster) Owner(_ context.Context, r mapper.Reference, namespace string) (string, bool, error) {
	c.asked = append(c.asked, namespace)
	if r != (mapper.Reference{GroupVersionKind: monitorKind, Name: "gw"}) || c.owner == nil {
		return "", false, c.fail
	}
	return *c.owner, true, c.fail
}

// complete has everything that the spec everything names.
func complete() *cluster {
	c := &cluster{hashes: map[mapper.Reference]string{}}
	for _, name := range []string{"admin-credentials", "web-cert", "web-phrase", "db-password", "env-secret", "gw-web-mq-password", "gw-api-passphrase"} {
		c.hashes[ref("Secret", name)] = "hash-" + name
	}
	for _, name := range []string{"web-config", "web-local", "tools", "env-config", "snmp-config"} {
		c.hashes[ref("ConfigMap", name)] = "hash-" + name
	}
	return c
}

func TestHashesOfAllReferencesReachTheChart(t *testing.T) {
	c := complete()
	got, err := datapowerservice.Mapper{}.Map(context.Background(), service(t, everything), c)
	require.NoError(t, err)
	references, ok := got["references"].(map[string]any)
	require.True(t, ok)
	assert.ElementsMatch(t, []string{"admin-credentials", "web-cert", "web-phrase", "db-password", "env-secret",
		"gw-web-mq-password", "gw-api-passphrase"}, keys(references["secrets"]))
	assert.ElementsMatch(t, []string{"web-config", "web-local", "tools", "env-config", "snmp-config"}, keys(references["configMaps"]))
	for _, namespace := range c.asked {
		assert.Equal(t, "prod", namespace)
	}
	assert.NotPanics(t, func() { runtime.DeepCopyJSON(got) }, "values must be what JSON knows")
}

func TestAServiceThatNamesNothingHasEmptyReferences(t *testing.T) {
	got, err := datapowerservice.Mapper{}.Map(context.Background(), service(t, "version: 10.6-lts"), &cluster{})
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"secrets": map[string]any{}, "configMaps": map[string]any{}}, got["references"])
}

func TestMissingReferencesHoldWithAllNamesAndPaths(t *testing.T) {
	c := complete()
	delete(c.hashes, ref("Secret", "admin-credentials"))
	delete(c.hashes, ref("ConfigMap", "web-local"))
	delete(c.hashes, ref("Secret", "gw-web-mq-password"))
	_, err := datapowerservice.Mapper{}.Map(context.Background(), service(t, everything), c)
	var hold *mapper.HoldError
	require.ErrorAs(t, err, &hold)
	assert.Equal(t, "ReferenceNotFound", hold.Reason)
	assert.Equal(t, `Secret "admin-credentials" not found (spec.users[0].passwordSecret); `+
		`ConfigMap "web-local" not found (spec.domains[0].dpApp.local[0]); `+
		`Secret "gw-web-mq-password" not found (spec.domains[0].passwordMap[1])`, hold.Message)
}

func TestAMissingOptionalReferenceIsLeftOut(t *testing.T) {
	c := complete()
	delete(c.hashes, ref("ConfigMap", "env-config"))
	got, err := datapowerservice.Mapper{}.Map(context.Background(), service(t, everything), c)
	require.NoError(t, err)
	assert.NotContains(t, got["references"].(map[string]any)["configMaps"], "env-config")
}

func TestAMonitorThatTheServiceDoesNotOwnIsTheUsers(t *testing.T) {
	ours, others, nobodys := "uid-gw", "uid-other", ""
	for name, test := range map[string]struct {
		owner    *string
		external bool
	}{
		"there is none":       {nil, false},
		"the service owns it": {&ours, false},
		"another owns it":     {&others, true},
		"nobody owns it":      {&nobodys, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := datapowerservice.Mapper{}.Map(context.Background(), service(t, "version: 10.6-lts"), &cluster{owner: test.owner})
			require.NoError(t, err)
			assert.Equal(t, map[string]any{"external": test.external}, got["monitor"])
		})
	}
}

func TestAServiceMayBeStopped(t *testing.T) {
	for value, want := range map[string]bool{"true": true, "false": false, "": false, "yes": false} {
		cr := service(t, "version: 10.6-lts")
		cr.SetAnnotations(map[string]string{"datapower.ibm.com/stop": value})
		got, err := datapowerservice.Mapper{}.Map(context.Background(), cr, &cluster{})
		require.NoError(t, err)
		assert.Equal(t, want, got["stopped"], value)
	}
	got, err := datapowerservice.Mapper{}.Map(context.Background(), service(t, "version: 10.6-lts"), &cluster{})
	require.NoError(t, err)
	assert.Equal(t, false, got["stopped"])
}

func TestAClusterThatCannotBeAskedIsNoHold(t *testing.T) {
	cause := errors.New("no connection")
	for _, spec := range []string{everything, "version: 10.6-lts"} {
		_, err := datapowerservice.Mapper{}.Map(context.Background(), service(t, spec), &cluster{fail: cause})
		require.ErrorIs(t, err, cause)
		var hold *mapper.HoldError
		assert.NotErrorAs(t, err, &hold, "it is tried again")
	}
}

func TestAResourceThatCannotBeReadIsHeld(t *testing.T) {
	cr := service(t, "users: 7")
	for name, call := range map[string]func() error{
		"References": func() error { _, err := datapowerservice.Mapper{}.References(cr); return err },
		"Generated":  func() error { _, err := datapowerservice.Mapper{}.Generated(cr); return err },
		"Map": func() error {
			_, err := datapowerservice.Mapper{}.Map(context.Background(), cr, &cluster{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			var hold *mapper.HoldError
			require.ErrorAs(t, call(), &hold)
			assert.Equal(t, "InvalidResource", hold.Reason)
		})
	}
}

func TestMappingChangesNothing(t *testing.T) {
	cr := service(t, everything)
	before := cr.DeepCopy()
	_, err := datapowerservice.Mapper{}.Map(context.Background(), cr, complete())
	require.NoError(t, err)
	assert.Equal(t, before, cr)
}

func TestASecretWithNothingToLogInWithHoldsTheRelease(t *testing.T) {
	admin := mapper.Reference{GroupVersionKind: schema.GroupVersionKind{Version: "v1", Kind: "Secret"}, Name: "admin"}
	for name, words := range map[string]map[string]bool{
		"no key at all":                 {},
		"another key":                   {"pw": true},
		"an empty or unprintable value": {"password": false, "password-hashed": false},
	} {
		t.Run(name, func(t *testing.T) {
			c := &cluster{hashes: map[mapper.Reference]string{admin: "h"}, words: map[mapper.Reference]map[string]bool{admin: words}}
			cr := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
				"users": []any{map[string]any{"name": "admin", "passwordSecret": "admin"}},
			}}}
			_, err := (datapowerservice.Mapper{}).Map(context.Background(), cr, c)
			var hold *mapper.HoldError
			require.ErrorAs(t, err, &hold)
			assert.Equal(t, "ReferenceUnusable", hold.Reason)
			assert.Equal(t, `Secret "admin" needs the key password or password-hashed with one line of text (spec.users[0].passwordSecret)`, hold.Message)
		})
	}
}

// keys of a map of hashes, each of which must be there and be no hash of the content alone.
func keys(hashes any) []string {
	var out []string
	for name, hash := range hashes.(map[string]any) {
		if hash != "" && hash != "hash-"+name {
			out = append(out, name)
		}
	}
	return out
}

func TestEqualContentOfTwoServicesHasDifferentHashes(t *testing.T) {
	hashOf := func(uid string) any {
		cr := service(t, everything)
		cr.SetUID(types.UID(uid))
		got, err := datapowerservice.Mapper{}.Map(context.Background(), cr, complete())
		require.NoError(t, err)
		return got["references"].(map[string]any)["secrets"].(map[string]any)["db-password"]
	}
	assert.Equal(t, hashOf("one"), hashOf("one"))
	assert.NotEqual(t, hashOf("one"), hashOf("two"), "a hash on a pod must not tell that two services use one password")
}
