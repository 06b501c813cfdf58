package peering

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/datapower-operator/datapower-operator/test/gateway"
	standin "github.com/datapower-operator/datapower-operator/test/gateway/peering"
)

// lists tells whether a gateway lists an address.
func (c *cluster) lists(name, address string) bool {
	return slices.ContainsFunc(c.rows(name), func(row standin.Row) bool { return row.Address == address })
}

// One of three gateways has a fault. The others are healed whatever it is, and the report names the one that was not.
func TestFaultsOfOneGateway(t *testing.T) {
	const action, put = "POST /mgmt/actionqueue", "PUT /mgmt/config"
	tests := []struct {
		name   string
		faults gateway.Faults
		want   Reason // of gw-1's first problem; empty when it is healed
		// results are those of gw-1's resets.
		results []Result
	}{
		{"slow", gateway.Faults{Slow: 150 * time.Millisecond}, "", []Result{ResultHealed}},
		{"hanging", gateway.Faults{Hang: true}, ReasonUnreachable, nil},
		{"refusing credentials", gateway.Faults{Unauthorized: true}, ReasonCredentialsRefused, nil},
		{"500 for ever", gateway.Faults{ServerErrors: -1}, ReasonGatewayError, nil},
		{"500 a few times", gateway.Faults{ServerErrors: 3}, "", []Result{ResultHealed}},
		{"answers broken off", gateway.Faults{HalfWritten: true}, ReasonUnreachable, nil},
		{"no JSON", gateway.Faults{Malformed: true}, ReasonBadAnswer, nil},
		{"answers too large", gateway.Faults{HugeAnswer: 5 << 20}, ReasonBadAnswer, nil},
		{"another certificate", gateway.Faults{WrongCertificate: true}, ReasonCertificateNotTrusted, nil},
		{"no reset action", gateway.Faults{NoResetAction: true}, "", []Result{ResultHealed}},
		{"no reset action, no writes", gateway.Faults{NoResetAction: true, RefuseWrites: true}, ReasonResetFailed, []Result{ResultFailed}},
		{"asynchronous", gateway.Faults{AsyncActions: true, ActionTime: 50 * time.Millisecond}, "", []Result{ResultHealed}},
		{"asynchronous and forgotten", gateway.Faults{AsyncActions: true, ActionState: "gone"}, "", []Result{ResultHealed}},
		{"an action that ends in an error", gateway.Faults{AsyncActions: true, ActionState: "error"}, "", []Result{ResultFailed, ResultHealed}},
		{"an action with errors, and no writes", gateway.Faults{AsyncActions: true, ActionState: "processed-with-errors", RefuseWrites: true},
			ReasonResetFailed, []Result{ResultFailed, ResultFailed}},
		{"an action that does not end", gateway.Faults{AsyncActions: true, ActionTime: time.Hour}, "", []Result{ResultHealed}},
		{"an action done whose answer is lost", gateway.Faults{Only: action, HangAfter: true}, "", []Result{ResultHealed}},
		{"an action not done whose answer is lost", gateway.Faults{Only: action, Hang: true}, "", []Result{ResultNoEffect, ResultHealed}},
		{"writes done whose answers are lost", gateway.Faults{Only: put, HangAfter: true, NoResetAction: true}, "", []Result{ResultHealed}},
		{"writes that hang", gateway.Faults{Only: put, Hang: true, NoResetAction: true}, ReasonStillStale, []Result{ResultNoEffect}},
		{"500 to actions", gateway.Faults{Only: action, ServerErrors: -1}, "", []Result{ResultNoEffect, ResultHealed}},
		{"resets that do nothing", gateway.Faults{LyingReset: true}, ReasonStillStale, []Result{ResultNoEffect, ResultNoEffect}},
		{"operations that cannot be listed", gateway.Faults{Only: "GET /mgmt/actionqueue", ServerErrors: -1}, ReasonGatewayError, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			c.options.Timeout = 2 * time.Second
			c.group(3)
			c.replaceLast()
			c.instance("gw-1").SetFaults(test.faults)
			report := c.work()
			assert.False(t, c.lists("gw-0", "10.0.0.3"), "the others are healed")
			require.Len(t, report.Pods, 3)
			var got []Result
			for _, reset := range report.Pods[1].Resets {
				got = append(got, reset.Result)
			}
			assert.Equal(t, test.results, got, "%+v", report.Pods[1])
			assert.Empty(t, report.Pods[0].Problems)
			assert.Empty(t, report.Pods[2].Problems)
			if test.want == "" {
				assert.Equal(t, ResultHealed, report.Result(), "%+v", report)
				c.healed(3)
				return
			}
			assert.Equal(t, ResultFailed, report.Result())
			require.NotEmpty(t, report.Pods[1].Problems)
			problem := report.Pods[1].Problems[0]
			assert.Equal(t, test.want, problem.Reason, "%+v", problem)
			assert.NotEmpty(t, problem.Message)
			assert.NotEmpty(t, problem.Remedy)
			assert.True(t, c.instance("gw-1").Member(domain, "gwd").Enabled(), "nothing is left disabled")
		})
	}
}

// An operator that is told to stop in the middle of a reset enables the peering, and says that it stopped.
func TestStoppedWhileAPeeringIsDisabled(t *testing.T) {
	c := newCluster(t)
	c.group(3)
	c.replaceLast()
	ctx, stop := context.WithCancel(t.Context())
	gateways := RestGateways{Access: c, Client: c.options}
	stopping := hooked{gateways, func(state string) {
		if state == "disabled" {
			stop()
		}
	}}
	for _, name := range []string{"gw-0", "gw-1"} {
		c.instance(name).SetFaults(gateway.Faults{NoResetAction: true})
	}
	j := &journal{t: t}
	report := c.worker(func(o *Options) { o.Gateways = stopping }).Work(ctx, c.service(), j)
	assert.Equal(t, ResultInterrupted, report.Result())
	assert.Len(t, j.open, 1, "the next leader looks after it")
	for _, name := range []string{"gw-0", "gw-1"} {
		assert.True(t, c.instance(name).Member(domain, "gwd").Enabled(), name)
	}
	next := &journal{t: t}
	report = c.worker().Work(t.Context(), c.service(j.open...), next)
	assert.Equal(t, ResultHealed, report.Result(), "%+v", report)
	c.healed(3)
}

func TestNobodyListens(t *testing.T) {
	c := newCluster(t)
	c.group(3)
	c.settings.Port = 5555
	report := c.work()
	assert.Equal(t, []Reason{ReasonInterfaceOff, ReasonInterfaceOff, ReasonInterfaceOff}, reasons(report))
	assert.Zero(t, report.LookedAt())
}

func TestUserWithoutRights(t *testing.T) {
	c := newCluster(t)
	c.logins = []Login{{Name: "watcher", Secret: "admin"}}
	c.group(3)
	c.replaceLast()
	before := c.fleet.Requests().Last()
	report := c.work()
	assert.Equal(t, ReasonNotAuthorized, problemsOf(report, "gw-1")[0].Reason, "%+v", report)
	assert.Equal(t, ResultFailed, report.Result())
	for _, request := range c.fleet.Requests().Since(before) {
		if request.Method == http.MethodPut {
			assert.Equal(t, http.StatusNotFound, request.Status)
		}
	}
}
