package release_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	helmtime "helm.sh/helm/v3/pkg/time"

	"github.com/datapower-operator/datapower-operator/helm-operator/release"
)

func revisions(t *testing.T, statuses ...helmrelease.Status) (*storage.Storage, []*helmrelease.Release) {
	t.Helper()
	s := storage.Init(driver.NewMemory())
	for i, status := range statuses {
		require.NoError(t, s.Create(&helmrelease.Release{Name: "gw", Version: i + 1, Info: &helmrelease.Info{Status: status}}))
	}
	_, records, err := release.Read(s, "gw")
	require.NoError(t, err)
	return s, records
}

// A process that dies between superseding the deployed revision and recording the next one leaves none that is deployed.
func TestReinstateGivesAnInterruptedReleaseItsDeployedRevisionBack(t *testing.T) {
	const (
		superseded = helmrelease.StatusSuperseded
		deployed   = helmrelease.StatusDeployed
		failed     = helmrelease.StatusFailed
		upgrading  = helmrelease.StatusPendingUpgrade
		returning  = helmrelease.StatusPendingRollback
		installing = helmrelease.StatusPendingInstall
	)
	for name, tc := range map[string]struct{ before, after []helmrelease.Status }{
		"at the end of an upgrade": {
			[]helmrelease.Status{superseded, superseded, upgrading}, []helmrelease.Status{superseded, deployed, upgrading}},
		"at the end of a rollback": {
			[]helmrelease.Status{superseded, failed, returning}, []helmrelease.Status{deployed, failed, returning}},
		"but not before anything was deployed": {
			[]helmrelease.Status{failed, upgrading}, []helmrelease.Status{failed, upgrading}},
		"and not in an install": {
			[]helmrelease.Status{superseded, installing}, []helmrelease.Status{superseded, installing}},
	} {
		t.Run(name, func(t *testing.T) {
			s, records := revisions(t, tc.before...)
			require.NoError(t, release.Reinstate(s, records))
			history, _, err := release.Read(s, "gw")
			require.NoError(t, err)
			var got []helmrelease.Status
			for i := range history {
				got = append(got, history[len(history)-1-i].Status)
			}
			assert.Equal(t, tc.after, got)
		})
	}
}

func TestHooksThatEndedInAnInterruptedUninstallAreRetired(t *testing.T) {
	begin := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	run := func(name string, at time.Time, phase helmrelease.HookPhase, events ...helmrelease.HookEvent) *helmrelease.Hook {
		return &helmrelease.Hook{Name: name, Events: append(events, helmrelease.HookPreDelete),
			LastRun: helmrelease.HookExecution{StartedAt: helmtime.Time{Time: at}, Phase: phase}}
	}
	for status, want := range map[helmrelease.Status][]string{
		helmrelease.StatusUninstalling: {"after the install", "running", "before and after"},
		helmrelease.StatusDeployed:     {"after the install", "done", "running", "before and after"},
	} {
		t.Run(string(status), func(t *testing.T) {
			s := storage.Init(driver.NewMemory())
			rel := &helmrelease.Release{
				Name: "gw", Version: 1, Info: &helmrelease.Info{Status: status, Deleted: helmtime.Time{Time: begin}},
				Hooks: []*helmrelease.Hook{
					run("after the install", begin.Add(-time.Hour), helmrelease.HookPhaseSucceeded),
					run("done", begin.Add(time.Second), helmrelease.HookPhaseSucceeded, helmrelease.HookTest),
					run("running", begin.Add(2*time.Second), helmrelease.HookPhaseRunning),
					run("before and after", begin.Add(time.Second), helmrelease.HookPhaseSucceeded, helmrelease.HookPostDelete),
				},
			}
			require.NoError(t, s.Create(rel))
			require.NoError(t, release.Retire(s, rel))
			stored, err := s.Get("gw", 1)
			require.NoError(t, err)
			var left []string
			for _, h := range stored.Hooks {
				if slices.Contains(h.Events, helmrelease.HookPreDelete) {
					left = append(left, h.Name)
				}
			}
			assert.Equal(t, want, left)
			assert.Contains(t, stored.Hooks[1].Events, helmrelease.HookTest, "other events stay")
		})
	}
	require.NoError(t, release.Retire(storage.Init(driver.NewMemory()), &helmrelease.Release{}), "nothing to write")
}

func TestLastFailureIsOfTheseInputsAndNoInterruption(t *testing.T) {
	history := release.History{
		{Version: 5, Digest: "a", Status: helmrelease.StatusFailed, Interrupted: true},
		{Version: 4, Digest: "b", Status: helmrelease.StatusFailed},
		{Version: 3, Digest: "a", Status: helmrelease.StatusFailed},
		{Version: 2, Digest: "a", Status: helmrelease.StatusFailed},
	}
	got, found := history.LastFailure("a")
	assert.True(t, found)
	assert.Equal(t, 3, got.Version)
	_, found = history.LastFailure("c")
	assert.False(t, found)
}
