package peering

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	"github.com/datapower-operator/datapower-operator/sidecar/datapower"
)

var gwd = Key{domain, "gwd"}

// pods makes pods a, b and so on of words like "10.0.0.1", "10.0.0.1 terminating", "10.0.0.1 unready", or "" for one
// without an address.
func podsOf(words ...string) []Pod {
	var pods []Pod
	for i, word := range words {
		name := string(rune('a' + i))
		ip, state, _ := strings.Cut(word, " ")
		pods = append(pods, Pod{
			Name: name, UID: types.UID(name), IP: ip, Running: ip != "", Ready: ip != "" && state == "", Terminating: state == "terminating",
		})
	}
	return pods
}

// rowsOf makes a view of words like "10.0.0.1 primary, 10.0.0.2, 10.0.0.3 down".
func rowsOf(text string) View {
	var rows []datapower.PeeringStatus
	for word := range strings.SplitSeq(text, ", ") {
		address, state, _ := strings.Cut(word, " ")
		link := "ok"
		if strings.Contains(state, "down") {
			link = "down"
		}
		rows = append(rows, datapower.PeeringStatus{Address: address, Name: "gwd", LinkStatus: link, Primary: strings.Contains(state, "primary")})
	}
	return makeView(domain, []datapower.GatewayPeering{{Name: "gwd", EnablePeerGroup: true, AdminState: datapower.Enabled}}, rows)
}

func viewsOf(texts ...string) map[types.UID]View {
	views := map[types.UID]View{}
	for i, text := range texts {
		if text != "" {
			views[types.UID(string(rune('a'+i)))] = rowsOf(text)
		}
	}
	return views
}

func TestDecisions(t *testing.T) {
	const (
		p, q, r, u, v, s = "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.9" // s is the address of nobody
		all              = p + " primary, " + q + ", " + r
		allStale         = all + ", " + s + " down"
		fourStale        = all + ", " + u + ", " + s + " down"
	)
	tests := []struct {
		name   string
		pods   []string
		views  []string
		change func(*State)
		due    string            // pods in their order
		waits  map[string]Reason // by pod
	}{
		{name: "all well", pods: []string{p, q, r}, views: []string{all, all, all}},
		{name: "replicas by name, the primary after them", pods: []string{p, q, r}, views: []string{allStale, allStale, allStale},
			due: "b c", waits: map[string]Reason{"a": ReasonStillStale}},
		{name: "the primary when nobody else is left", pods: []string{p, q, r}, views: []string{allStale, all, all}, due: "a"},
		{name: "the primary when the others are spent", pods: []string{p, q, r}, views: []string{allStale, allStale, all},
			change: func(s *State) { s.Spent = map[Target]bool{{"b", gwd}: true} }, due: "a"},
		{name: "the primary waits for one that may still answer", pods: []string{p, q, r}, views: []string{allStale, all, ""},
			change: func(s *State) { s.Awaited = map[types.UID]bool{"c": true} }, waits: map[string]Reason{"a": ReasonStillStale}},
		{name: "the primary does not wait for ever", pods: []string{p, q, r}, views: []string{allStale, all, ""}, due: "a"},
		{name: "a link that is down to a live pod is not stale", pods: []string{p, q, r}, views: []string{p + " primary, " + q + ", " + r + " down", all, ""}},
		{name: "the address of a terminating pod is not stale", pods: []string{p, q, r, s + " terminating"}, views: []string{allStale, allStale, allStale}},
		{name: "a pod without an address may get this one", pods: []string{p, q, r, ""}, views: []string{allStale, allStale, allStale},
			waits: map[string]Reason{"a": ReasonWaitingForPods, "b": ReasonWaitingForPods, "c": ReasonWaitingForPods}},
		{name: "a pod that took the address over", pods: []string{p, q, r, s}, views: []string{allStale, allStale, allStale, ""}},
		{name: "the primary's pod terminates", pods: []string{p + " terminating", q, r}, views: []string{"", allStale, allStale},
			waits: map[string]Reason{"b": ReasonWaitingForPods, "c": ReasonWaitingForPods}},
		{name: "one member of three is down", pods: []string{p, q, r}, views: []string{p + " primary, " + q + ", " + r + " down, " + s + " down", p + " primary, " + q + ", " + s + " down", ""},
			waits: map[string]Reason{"a": ReasonStillStale, "b": ReasonQuorumAtRisk}},
		{name: "two members of three are down", pods: []string{p, q, r}, views: []string{p + " primary, " + q + " down, " + r + " down, " + s + " down", "", ""},
			waits: map[string]Reason{"a": ReasonQuorumLost}},
		{name: "a member without a link may link by itself", pods: []string{p, q, r},
			views: []string{p + " primary, " + q + " down", p + " down primary, " + q + " down, " + s + " down", ""}, waits: map[string]Reason{"b": ReasonStillStale}},
		{name: "a member that does not link by itself may be reset whatever the quorum", pods: []string{p, q, r},
			views:  []string{p + " primary, " + q + " down", p + " down primary, " + q + " down, " + s + " down", ""},
			change: func(s *State) { s.GivenUp = map[Target]bool{{"b", gwd}: true} }, due: "b"},
		{name: "nobody while another member has still to link, whoever reset it", pods: []string{p, q, r, u, v},
			views: []string{fourStale, fourStale, fourStale, fourStale, v + " down"},
			waits: map[string]Reason{"a": ReasonStillStale, "b": ReasonStillStale, "c": ReasonStillStale, "d": ReasonStillStale}},
		{name: "nobody while another member has not found all that are linked", pods: []string{p, q, r, u},
			views: []string{fourStale, fourStale, fourStale, p + " primary, " + q + ", " + u},
			waits: map[string]Reason{"a": ReasonStillStale, "b": ReasonStillStale, "c": ReasonStillStale}},
		{name: "the others when that member is given up", pods: []string{p, q, r, u}, views: []string{fourStale, fourStale, fourStale, p + " primary, " + q + ", " + u},
			change: func(s *State) { s.GivenUp = map[Target]bool{{"d", gwd}: true} }, due: "b c", waits: map[string]Reason{"a": ReasonStillStale}},
		{name: "a gateway counts until its pod is gone", pods: []string{p, q, r + " terminating"}, views: []string{allStale, allStale, ""},
			waits: map[string]Reason{"a": ReasonStillStale, "b": ReasonWaitingForPods}},
		{name: "a gateway that ends and is not missed", pods: []string{p, q, r, u, v + " terminating"}, views: []string{fourStale, fourStale, fourStale, fourStale, ""},
			due: "b c d", waits: map[string]Reason{"a": ReasonStillStale}},
		{name: "no primary, and time for one", pods: []string{p, q}, views: []string{p + " down, " + q + ", " + s + " down primary", p + ", " + q + " down, " + s + " down primary"},
			change: func(s *State) { s.Patient = map[Key]bool{gwd: true} }, waits: map[string]Reason{"a": ReasonQuorumLost, "b": ReasonQuorumLost}},
		{name: "no primary for long", pods: []string{p, q}, views: []string{p + " down, " + q + ", " + s + " down primary", p + ", " + q + " down, " + s + " down primary"}, due: "a b"},
		{name: "groups of two need both", pods: []string{p, q}, views: []string{p + " primary, " + q + ", " + s + " down", p + " primary, " + q + ", " + s + " down"},
			due: "b", waits: map[string]Reason{"a": ReasonStillStale}},
		{name: "one alone", pods: []string{p}, views: []string{p + " primary, " + s + " down"}, due: "a"},
		{name: "one pod at a time", pods: []string{p, q, r}, views: []string{allStale, all, allStale},
			change: func(s *State) { s.Disturbed = []Target{{"b", gwd}} }, waits: map[string]Reason{"a": ReasonStillStale, "c": ReasonStillStale}},
		{name: "a reset that has to show its effect", pods: []string{p, q, r}, views: []string{all, allStale, all},
			change: func(s *State) { s.Settling = map[Target]bool{{"b", gwd}: true} }, waits: map[string]Reason{"b": ReasonStillStale}},
		{name: "one that takes itself for the primary in error", pods: []string{p, q, r}, views: []string{all, allStale, p + ", " + q + ", " + r + " primary, " + s + " down"},
			change: nil, due: "", waits: map[string]Reason{"b": ReasonQuorumAtRisk, "c": ReasonStillStale}},
		{name: "addresses that are not those of the pods", pods: []string{p, q, r}, views: []string{"192.168.0.1 primary, 192.168.0.2 down", "", ""}},
		{name: "a name for an address", pods: []string{p, q, r}, views: []string{all + ", gone.example down", "", ""}},
		{name: "a pod that has failed keeps its address until it is gone", pods: []string{p, q, r, s}, views: []string{allStale, allStale, allStale},
			change: func(s *State) { s.Pods[3].Running = false }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			state := State{Pods: podsOf(test.pods...), Views: viewsOf(test.views...)}
			if test.change != nil {
				test.change(&state)
			}
			decision := Decide(state)
			var due []string
			for _, step := range decision.Resets {
				due = append(due, string(step.PodUID))
			}
			assert.Equal(t, test.due, strings.Join(due, " "))
			waits := map[string]Reason{}
			for _, wait := range decision.Waits {
				waits[string(wait.PodUID)] = wait.Reason
				assert.NotEmpty(t, wait.Message)
			}
			if len(test.waits) == 0 {
				assert.Empty(t, waits)
				return
			}
			assert.Equal(t, test.waits, waits)
		})
	}
}

func TestOpenResets(t *testing.T) {
	disabled := func(name string) View {
		return makeView(domain, []datapower.GatewayPeering{{Name: name, EnablePeerGroup: true, AdminState: datapower.Disabled}}, nil)
	}
	reset := Reset{Pod: "a", PodUID: "a", Domain: domain, Peering: "gwd", Strategy: StrategyAdminState}
	action := reset
	action.Strategy = StrategyActionPrefix + "X"
	tests := []struct {
		name            string
		pods            []Pod
		view            View
		open            Reset
		restored, ended bool
	}{
		{"left disabled", podsOf("10.0.0.1"), disabled("gwd"), reset, true, false},
		{"enabled already", podsOf("10.0.0.1"), rowsOf("10.0.0.1 primary"), reset, false, true},
		{"no such peering any more", podsOf("10.0.0.1"), disabled("other"), reset, false, true},
		{"a pod of the same name in its place", []Pod{{Name: "a", UID: "new", IP: "10.0.0.1", Running: true}}, nil, reset, false, true},
		{"no answer yet", podsOf("10.0.0.1"), nil, reset, false, false},
		{"an action leaves nothing disabled; its user did", podsOf("10.0.0.1"), disabled("gwd"), action, false, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			state := State{Pods: test.pods, Open: []Reset{test.open}, Views: map[types.UID]View{}}
			if test.view != nil {
				state.Views["a"] = test.view
			}
			decision := Decide(state)
			assert.Equal(t, test.restored, len(decision.Restores) == 1)
			assert.Equal(t, test.ended, len(decision.Ended) == 1)
		})
	}
}

// A peering that a dead process left disabled is a member all the same, so no other is reset meanwhile.
func TestAPeeringLeftDisabledCounts(t *testing.T) {
	rows := "10.0.0.1 primary, 10.0.0.2, 10.0.0.3 down, 10.0.0.9 down"
	state := State{Pods: podsOf("10.0.0.1", "10.0.0.2", "10.0.0.3"), Views: viewsOf(rows, rows)}
	state.Views["c"] = View{gwd: Member{Disabled: true}}
	state.Open = []Reset{{PodUID: "c", Domain: domain, Peering: "gwd", Strategy: StrategyAdminState}}
	assert.Empty(t, Decide(state).Resets)
	state.Open = nil // it was its user
	require.Len(t, Decide(state).Resets, 1)
}

func TestAddresses(t *testing.T) {
	for spelled, want := range map[string]string{
		"10.0.0.1": "10.0.0.1", " 10.0.0.1 ": "10.0.0.1", "10.0.0.1:16380": "10.0.0.1", "::ffff:10.0.0.1": "10.0.0.1",
		"fd00::1": "fd00::1", "[fd00::1]": "fd00::1", "FD00:0000:0:0:0:0:0:0001": "fd00::1", "[fd00::1]:16380": "fd00::1",
		"fe80::1%eth0": "fe80::1", "[fe80::1%eth0]:1": "fe80::1",
	} {
		got, ok := parseAddress(spelled)
		assert.True(t, ok, spelled)
		assert.Equal(t, want, got.String(), spelled)
	}
	for _, none := range []string{"", "gw-0", "10.0.0", "10.0.0.1/24"} {
		_, ok := parseAddress(none)
		assert.False(t, ok, none)
	}
	pods := podsOf("fd00::1", "fd00:0:0::2")
	rows := "[fd00::1] primary, FD00::0002, fd00::9 down"
	decision := Decide(State{Pods: pods, Views: viewsOf(rows, rows)})
	require.Len(t, decision.Resets, 1)
	assert.Equal(t, []string{"fd00::9"}, texts(decision.Resets[0].Stale))
}

func TestPeeringsWithoutAPeerGroupAreSkipped(t *testing.T) {
	view := makeView(domain, []datapower.GatewayPeering{{Name: "gwd"}}, []datapower.PeeringStatus{{Address: "10.0.0.9", Name: "gwd", LinkStatus: "down"}})
	assert.Empty(t, view)
}

func TestActions(t *testing.T) {
	action, err := ParseAction(`{"RemoveIt":{"name":"$(peering)","in":"$(domain)"}}`)
	require.NoError(t, err)
	assert.Equal(t, "RemoveIt", action.Name)
	assert.JSONEq(t, `{"RemoveIt":{"name":"a\"b","in":"$(peering)"}}`, string(action.Body("$(peering)", `a"b`)))
	for _, bad := range []string{``, `[]`, `{}`, `{"A":{},"B":"$(peering)"}`, `{"A":{}}`, `{"$(peering)":{}}`, `{"":"$(peering)"}`} {
		_, err := ParseAction(bad)
		require.ErrorIs(t, err, ErrAction, bad)
	}
	var names []string
	offered := []string{"GatewayPeeringFlush", "GatewayPeeringReset", "GatewayPeeringSwitchPrimary", "RemoveIt", "RemoveStalePeers", "ResetDomain", "SaveConfig"}
	for _, candidate := range candidates([]Action{action}, offered) {
		names = append(names, candidate.Name)
	}
	assert.Equal(t, []string{"RemoveIt", "GatewayPeeringReset", "RemoveStalePeers"}, names)
	assert.Empty(t, candidates([]Action{action}, []string{"SaveConfig"}))
}

func TestPasswords(t *testing.T) {
	tests := []struct{ password, hashed, want, problem string }{
		{"secret\n\n", "", "secret", ""},
		{"secret", "$1$x", "secret", ""},
		{" with spaces ", "", " with spaces ", ""},
		{"a\r\n", "", "", "control characters"},
		{"", "$1$x", "", "password-hashed"},
		{"\n", "", "", "no password"},
	}
	for _, test := range tests {
		data := map[string][]byte{"password": []byte(test.password), "password-hashed": []byte(test.hashed)}
		got, problem := passwordOf(data)
		assert.Equal(t, test.want, got, fmt.Sprintf("%q", test.password))
		assert.Contains(t, problem, test.problem)
		assert.Equal(t, test.problem == "", problem == "")
	}
	_, problem := passwordOf(nil)
	assert.Equal(t, "does not exist", problem)
}
