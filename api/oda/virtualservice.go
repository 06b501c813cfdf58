// SPDX-License-Identifier: Apache-2.0

package oda

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// KindVirtualService is the kind of foreign claims.
const KindVirtualService = "VirtualService"

// meshGateway is Istio's name for the sidecars of the mesh, which are no gateway.
const meshGateway = "mesh"

// ClaimOfVirtualService returns what a VirtualService claims on gateways, in all of its rules. One that belongs to an
// ExposedAPI claims nothing: its owner does.
func ClaimOfVirtualService(vs *unstructured.Unstructured) Claim {
	claim := Claim{
		Key:     Key{Kind: KindVirtualService, Namespace: vs.GetNamespace(), Name: vs.GetName()},
		Created: vs.GetCreationTimestamp().Unix(), Foreign: true,
	}
	if owner := metav1.GetControllerOf(vs); owner != nil {
		if gv, err := schema.ParseGroupVersion(owner.APIVersion); err == nil && gv.Group == Group {
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
				claim.Routes = append(claim.Routes, Route{
					Gateway: QualifiedGateway(gateway, vs.GetNamespace()), Hosts: hosts, Path: m.Path, Matches: []Match{m.Match},
				})
			}
		}
	}
	return claim
}

type ruleMatch struct {
	Match
	gateways []string
}

// matchesOf lists the paths that a rule takes whatever else a request has. A match with further conditions, or with a
// regular expression, leaves requests to others.
func matchesOf(rule map[string]any) []ruleMatch {
	matches, found, _ := unstructured.NestedSlice(rule, "match")
	if !found || len(matches) == 0 {
		return []ruleMatch{{Match: Match{Path: "/"}}}
	}
	var out []ruleMatch
	for _, m := range matches {
		fields, ok := m.(map[string]any)
		if !ok || hasConditions(fields) {
			continue
		}
		r := ruleMatch{Match: Match{Path: "/"}}
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
