package exposedapi

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/datapower-operator/datapower-operator/api/oda"
)

func virtualService(t *testing.T, spec string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal([]byte("{kind: VirtualService, metadata: {name: vs, namespace: ns}, spec: "+spec+"}"), &u.Object))
	return u
}

func TestWhatAVirtualServiceClaims(t *testing.T) {
	route := func(gateway string, exact bool, path string) oda.Route {
		return oda.Route{Gateway: gateway, Hosts: []string{"h"}, Path: path, Matches: []oda.Match{{Exact: exact, Path: path}}}
	}
	for name, c := range map[string]struct {
		spec string
		want []oda.Route
	}{
		"every rule, match and gateway, each spelled with its namespace": {
			"{hosts: [h], gateways: [g, c/g], http: [{match: [{uri: {prefix: /a}}, {uri: {exact: /b}}]}, {match: [{uri: {prefix: /c}, name: n, ignoreUriCase: true}]}]}",
			[]oda.Route{route("ns/g", false, "/a"), route("c/g", false, "/a"), route("ns/g", true, "/b"), route("c/g", true, "/b"), route("ns/g", false, "/c"), route("c/g", false, "/c")},
		},
		"the rest of all paths by a rule without a match": {"{hosts: [h], gateways: [g], http: [{route: []}]}", []oda.Route{route("ns/g", false, "/")}},
		"and by a match without a path":                   {"{hosts: [h], gateways: [g], http: [{match: [{name: n}]}]}", []oda.Route{route("ns/g", false, "/")}},
		"a match for some of its gateways":                {"{hosts: [h], gateways: [a, b], http: [{match: [{uri: {prefix: /p}, gateways: [b]}]}]}", []oda.Route{route("ns/b", false, "/p")}},
		"nothing by what has further conditions":          {"{hosts: [h], gateways: [g], http: [{match: [{uri: {prefix: /a}, method: {exact: GET}}, {uri: {prefix: /b}, headers: {}}]}]}", nil},
		"nothing by regular expressions":                  {"{hosts: [h], gateways: [g], http: [{match: [{uri: {regex: /a.*}}]}]}", nil},
		"nothing in the mesh":                             {"{hosts: [h], gateways: [mesh], http: [{}]}", nil},
		"nothing without a gateway":                       {"{hosts: [h], http: [{}]}", nil},
		"nothing by rules for TCP":                        {"{hosts: [h], gateways: [g], tcp: [{}]}", nil},
		"nothing by what is no list":                      {"{hosts: h, gateways: g, http: 1}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			claim := claimOf(virtualService(t, c.spec))
			assert.Equal(t, c.want, claim.Routes)
			assert.True(t, claim.Foreign)
			assert.Equal(t, oda.Key{Kind: "VirtualService", Namespace: "ns", Name: "vs"}, claim.Key)
		})
	}
}

func TestWhatUpstreamsOperatorMadeForAnAPIIsClaimedByTheAPI(t *testing.T) {
	vs := virtualService(t, "{hosts: [h], gateways: [g], http: [{}]}")
	yes := true
	for apiVersion, mine := range map[string]bool{"oda.tmforum.org/v1": true, "example.com/v1": false} {
		vs.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: apiVersion, Kind: "ExposedAPI", Name: "x", UID: "u", Controller: &yes}})
		assert.Equal(t, mine, len(claimOf(vs).Routes) == 0, apiVersion)
	}
}
