// SPDX-License-Identifier: Apache-2.0

package oda_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/datapower-operator/datapower-operator/api/oda"
)

var shared = oda.Settings{Gateway: "canvas/g"}

// api is one of a given age: the higher the second, the younger.
func api(namespace, name, path string, second int64) oda.API {
	return oda.API{
		Key: oda.Key{Kind: oda.KindExposedAPI, Namespace: namespace, Name: name}, Created: time.Unix(second, 0), Implementation: "s", Path: path,
	}
}

func TestWhoLosesAPath(t *testing.T) {
	for name, c := range map[string]struct {
		settings oda.Settings
		all      []oda.API
		want     map[string]string // loser: what is in the way
	}{
		"equal paths: the younger": {shared, []oda.API{api("b", "x", "/p", 1), api("a", "x", "/p", 2)},
			map[string]string{"a/x": "the path is /p of the older ExposedAPI b/x on gateway canvas/g, host *"}},
		"of one age: the later by name": {shared, []oda.API{api("b", "x", "/p", 1), api("a", "x", "/p", 1)},
			map[string]string{"b/x": "the path is /p of the older ExposedAPI a/x on gateway canvas/g, host *"}},
		"below an older one": {shared, []oda.API{api("a", "x", "/p", 1), api("a", "y", "/p/v4", 2)},
			map[string]string{"a/y": "the path overlaps with /p of the older ExposedAPI a/x on gateway canvas/g, host *"}},
		"above an older one": {shared, []oda.API{api("a", "x", "/p/v4", 1), api("a", "y", "/p", 2)},
			map[string]string{"a/y": "the path overlaps with /p/v4 of the older ExposedAPI a/x on gateway canvas/g, host *"}},
		"/v4x begins with /v4":           {shared, []oda.API{api("a", "x", "/v4", 1), api("a", "y", "/v4x", 2)}, map[string]string{"a/y": "the path overlaps with /v4 of the older ExposedAPI a/x on gateway canvas/g, host *"}},
		"but not by segments":            {oda.Settings{Gateway: "canvas/g", SegmentSafePrefix: true}, []oda.API{api("a", "x", "/v4", 1), api("a", "y", "/v4x", 2)}, nil},
		"other namespaces' own gateways": {oda.Settings{Gateway: "g"}, []oda.API{api("a", "x", "/p", 1), api("b", "x", "/p", 2)}, nil},
		"the rest of all paths comes last in Istio, so it takes nothing": {shared, []oda.API{api("a", "x", "/", 1), api("a", "y", "/p", 2)}, nil},
		"but there is only one rest": {shared, []oda.API{api("a", "x", "/", 1), api("a", "y", "/", 2)},
			map[string]string{"a/y": "the path is / of the older ExposedAPI a/x on gateway canvas/g, host *"}},
		"who lost takes nothing": {shared, []oda.API{api("a", "x", "/p/a", 1), api("a", "y", "/p", 2), api("a", "z", "/p/b", 3)},
			map[string]string{"a/y": "the path overlaps with /p/a of the older ExposedAPI a/x on gateway canvas/g, host *"}},
		"the oldest in the way is named": {shared, []oda.API{api("a", "y", "/p/b", 2), api("a", "x", "/p/a", 1), api("a", "z", "/p", 3)},
			map[string]string{"a/z": "the path overlaps with /p/a of the older ExposedAPI a/x on gateway canvas/g, host *"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := map[string]string{}
			for k, conflict := range oda.Conflicts(c.all, c.settings) {
				got[k.Namespace+"/"+k.Name] = conflict.String()
			}
			if c.want == nil {
				c.want = map[string]string{}
			}
			assert.Equal(t, c.want, got)
		})
	}
}

func TestForeignClaims(t *testing.T) {
	foreign := oda.Claim{Key: oda.Key{Kind: "VirtualService", Namespace: "a", Name: "vs"}, Created: 2, Routes: []oda.Route{
		{Gateway: "canvas/other", Hosts: []string{"*"}, Matches: []oda.Match{{Path: "/p"}}},
		{Gateway: "canvas/g", Hosts: []string{"h", "*"}, Path: "/p", Matches: []oda.Match{{Path: "/p"}}},
	}}
	lost := oda.Conflicts([]oda.API{api("a", "young", "/p/v4", 3)}, shared, foreign)
	require.Len(t, lost, 1)
	assert.Empty(t, oda.Conflicts([]oda.API{api("a", "old", "/p/v4", 1)}, shared, foreign), "an older API keeps its path")
	between := oda.Conflicts([]oda.API{api("a", "old", "/p/v4", 1), api("a", "young", "/p/v5", 3)}, shared, foreign)
	assert.Len(t, between, 1, "what is not ours stays in the way of the younger, whatever is older")
	public := shared
	public.PublicHostname = "elsewhere"
	assert.Empty(t, oda.Conflicts([]oda.API{api("a", "young", "/p/v4", 3)}, public, foreign), "another host is another route")
}

// A Router that follows changes one by one must know what one knows that starts with their outcome, and must say whose
// fate each change decided.
func TestFollowingChangesComesToTheSameAsStartingAnew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		settings := oda.Settings{Gateway: "canvas/g", SegmentSafePrefix: rapid.Bool().Draw(t, "safe")}
		paths := []string{"/", "/a", "/a/", "/ab", "/a/b", "/a/b/c", "/c", "/c/d"}
		router, known := oda.NewRouter(), map[oda.Key]oda.API{}
		fate := map[oda.Key]oda.Conflict{}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			a := api("n", fmt.Sprint(rapid.IntRange(0, 7).Draw(t, "name")), rapid.SampledFrom(paths).Draw(t, "path"), rapid.Int64Range(0, 3).Draw(t, "age"))
			var told []oda.Key
			if _, found := known[a.Key]; found && rapid.Bool().Draw(t, "delete") {
				told = router.Delete(a.Key)
				delete(known, a.Key)
			} else {
				told = router.Set(settings.ClaimOf(a))
				known[a.Key] = a
			}
			var all []oda.API
			for _, each := range known {
				all = append(all, each)
			}
			want := oda.Conflicts(all, settings)
			for key := range known {
				got, lost := router.Conflict(key)
				expected, wantLost := want[key]
				if lost != wantLost || got != expected {
					t.Fatalf("%v: %v %v, want %v %v", key, lost, got, wantLost, expected)
				}
				before, hadLost := fate[key]
				changed := hadLost != lost || before != got
				if key != a.Key && changed != slices.Contains(told, key) {
					t.Fatalf("%v changed: %v, told: %v", key, changed, told)
				}
			}
			fate = want
		}
	})
}

func BenchmarkOneOfAThousandChanges(b *testing.B) {
	router := oda.NewRouter()
	for i := range 1000 {
		router.Set(shared.ClaimOf(api("n", fmt.Sprint(i), fmt.Sprintf("/component-%d/tmf-api/catalog/v4", i), int64(i))))
	}
	for i := 0; b.Loop(); i++ {
		router.Set(shared.ClaimOf(api("n", "7", fmt.Sprintf("/component-7/v%d", i), 7)))
	}
}
