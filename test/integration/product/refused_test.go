package product_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBadInputIsRefusedWithTheFieldAndTheRemedy(t *testing.T) {
	s := newScene(t, "refused")
	cases := map[string]struct {
		edit [2]string // text of the minimal service and what takes its place
		want []string
	}{
		"a licence that is not accepted": {
			[2]string{"accept: true", "accept: false"}, []string{"spec.license", "must be true"}},
		"an unknown use": {
			[2]string{"use: nonproduction", "use: hobby"}, []string{"spec.license.use", `"hobby"`}},
		"a licence that is none": {
			[2]string{"L-RJON-CCCP46", "GPL-3.0"}, []string{"spec.license.license"}},
		"no version": {
			[2]string{"version: 10.6-lts", ""}, []string{"spec.version", "Required"}},
		"negative replicas": {
			[2]string{"replicas: 1", "replicas: -1"}, []string{"spec.replicas"}},
		"an access level that does not exist": {
			[2]string{"accessLevel: privileged", "access-level: privileged"}, []string{"access-level"}},
		"too little memory": {
			[2]string{"replicas: 1", "resources: {limits: {memory: 1Gi}}"}, []string{"spec.resources", "2Gi"}},
		"a name that leaves no room": {
			[2]string{"{name: gw}", "{name: " + strings.Repeat("x", 53) + "}"}, []string{"52"}},
		"persistent storage without a size": {
			[2]string{"replicas: 1", "storage: [{type: persistent, path: /x}]"}, []string{"spec.storage[0]", "size"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			manifest := minimal("gw")
			require.Contains(t, manifest, c.edit[0])
			out, err := s.tryApply(strings.Replace(manifest, c.edit[0], c.edit[1], 1))
			require.Error(t, err, out)
			for _, want := range c.want {
				assert.Contains(t, out, want)
			}
			out = s.must("get", "dp", "--output=name")
			assert.Empty(t, out)
		})
	}
}

func TestPersistentStorageCannotChange(t *testing.T) {
	s := newScene(t, "storage-change")
	with := func(size string) string {
		return minimal("gw", "  storage: [{type: persistent, path: /opt/ibm/datapower/drouter/config, size: "+size+"}]")
	}
	s.apply(with("1Gi"))
	s.ready("gw")
	out, err := s.tryApply(with("2Gi"))
	require.Error(t, err)
	assert.Contains(t, out, "spec.storage")
	assert.Equal(t, "1Gi", s.field("dp/gw", ".spec.storage[0].size"))
}

func TestAnUnknownChannelIsReportedAndHealsWhenCorrected(t *testing.T) {
	s := newScene(t, "channel")
	s.apply(strings.Replace(minimal("gw"), "10.6-lts", "9.9-lts", 1))
	s.eventually("dp/gw", ".status.phase", "Failed")
	message := s.field("dp/gw", `.status.conditions[?(@.type=="Error")].message`)
	assert.Contains(t, message, "spec.version")
	assert.Contains(t, message, "10.6-lts", "the message lists the known channels")
	s.apply(minimal("gw"))
	s.ready("gw")
	s.eventually("dp/gw", ".status.phase", "Running")
}

func TestWhatNoWebhookRefusedIsHeldByTheReconcile(t *testing.T) {
	s := newScene(t, "bypassed")
	s.apply(minimal("gw"))
	s.ready("gw")
	s.apply(minimal("gw", `  hostAliases: [{ip: hunter2}]`, `  tolerations: [{key: a, operator: In}]`))
	s.eventually("dp/gw", ".status.phase", "Failed")
	message := s.field("dp/gw", `.status.conditions[?(@.type=="Error")].message`)
	assert.Contains(t, message, `spec.hostAliases[0].ip: Invalid value: "string": must be an IP address`)
	assert.Contains(t, message, `spec.tolerations[0].operator: Unsupported value`, "all that is wrong at once")
	assert.NotContains(t, message, "hunter2")
	assert.Equal(t, "True", s.field("dp/gw", `.status.conditions[?(@.type=="Ready")].status`), "what runs goes on")
	s.apply(minimal("gw"))
	s.eventually("dp/gw", ".status.phase", "Running")
}
