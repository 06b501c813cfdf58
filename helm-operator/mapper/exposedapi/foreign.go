package exposedapi

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/datapower-operator/datapower-operator/api/oda"
)

// kindVirtualService is the kind of foreign claims.
const kindVirtualService = "VirtualService"

// meshGateway is Istio's name for the sidecars of the mesh, which are no gateway.
const meshGateway = "mesh"

// claimOf returns what a VirtualService claims on gateways, in all of its rules. One that belongs to an ExposedAPI claims
// nothing: its owner does.
func claimOf(vs *unstructured.Unstructured) oda.Claim {
	claim := oda.Claim{
		Key:     oda.Key{Kind: kindVirtualService, Namespace: vs.GetNamespace(), Name: vs.GetName()},
		Created: vs.GetCreationTimestamp().Unix(), Foreign: true,
	}
	if owner := metav1.GetControllerOf(vs); owner != nil {
		if gv, err := schema.ParseGroupVersion(owner.APIVersion); err == nil && gv.Group == oda.Group {
			return claim
		}
	}
	hosts, _, _ := unstructured.NestedStringSlice(vs.Object, "spec", "hosts")
	gateways, _, _ := unstructured.NestedStringSlice(vs.Object, "spec", "gateways")
	rules, _, _ := unstructured.NestedSlice(vs.Object, "spec", "http")
	for _, rule := range rules {
		fields, _ := rule.(map[string]any)
		for _, m := range matchesOf(fields) {
			for _, gateway := range gateways {
				if gateway == meshGateway || len(m.gateways) > 0 && !slices.Contains(m.gateways, gateway) {
					continue
				}
				claim.Routes = append(claim.Routes, oda.Route{
					Gateway: oda.QualifiedGateway(gateway, vs.GetNamespace()), Hosts: hosts, Path: m.Path, Matches: []oda.Match{m.Match},
				})
			}
		}
	}
	return claim
}

type ruleMatch struct {
	oda.Match
	gateways []string
}

// matchesOf lists the paths that a rule takes whatever else a request has. A match with further conditions, or with a
// regular expression, leaves requests to others.
func matchesOf(rule map[string]any) []ruleMatch {
	matches, found, _ := unstructured.NestedSlice(rule, "match")
	if !found || len(matches) == 0 {
		return []ruleMatch{{Match: oda.Match{Path: "/"}}}
	}
	var out []ruleMatch
	for _, m := range matches {
		fields, ok := m.(map[string]any)
		if !ok || hasConditions(fields) {
			continue
		}
		r := ruleMatch{Match: oda.Match{Path: "/"}}
		r.gateways, _, _ = unstructured.NestedStringSlice(fields, "gateways")
		if uri, found, _ := unstructured.NestedStringMap(fields, "uri"); found {
			switch {
			case uri["prefix"] != "":
				r.Path = uri["prefix"]
			case uri["exact"] != "":
				r.Path, r.Exact = uri["exact"], true
			default:
				continue
			}
		}
		out = append(out, r)
	}
	return out
}

func hasConditions(match map[string]any) bool {
	for key := range match {
		switch key {
		case "uri", "name", "gateways", "ignoreUriCase", "statPrefix":
		default:
			return true
		}
	}
	return false
}
