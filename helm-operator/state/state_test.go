package state_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"pgregory.net/rapid"

	"github.com/datapower-operator/datapower-operator/helm-operator/release"
	"github.com/datapower-operator/datapower-operator/helm-operator/state"
)

const (
	now    = "digest of now"
	before = "digest of before"

	deployed        = helmrelease.StatusDeployed
	failed          = helmrelease.StatusFailed
	superseded      = helmrelease.StatusSuperseded
	uninstalled     = helmrelease.StatusUninstalled
	pendingInstall  = helmrelease.StatusPendingInstall
	pendingUpgrade  = helmrelease.StatusPendingUpgrade
	pendingRollback = helmrelease.StatusPendingRollback
	uninstalling    = helmrelease.StatusUninstalling
	unknown         = helmrelease.StatusUnknown
)

// noon is the time of the newest revision; later is long after every backoff.
var (
	noon  = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	later = noon.Add(24 * time.Hour)
)

// revisions of chart demo, newest first, each a second older than the one before it.
func revisions(list ...release.Revision) release.History {
	for i := range list {
		list[i].Version = len(list) - i
		list[i].Time = noon.Add(-time.Duration(i) * time.Second)
		if list[i].Chart == "" {
			list[i].Chart = "demo"
		}
	}
	return list
}

func revision(status helmrelease.Status, digest string) release.Revision {
	return release.Revision{Status: status, Digest: digest, Description: "Upgrade failed: no"}
}

// observed is a release in sync, with changes.
func observed(changes ...func(*state.Input)) state.Input {
	in := state.Input{Chart: "demo", Owner: "Demo.example.test", Digest: now, History: revisions(revision(deployed, now)), Now: later}
	for _, change := range changes {
		change(&in)
	}
	return in
}

func withHistory(list ...release.Revision) func(*state.Input) {
	return func(in *state.Input) { in.History = revisions(list...) }
}

func suspects(n int) func(*state.Input) { return func(in *state.Input) { in.Suspects = n } }
func at(t time.Time) func(*state.Input) { return func(in *state.Input) { in.Now = t } }
func same(in *state.Input)              { in.SameManifest = true }

func attempts(n int, last time.Time) func(*state.Input) {
	return func(in *state.Input) { in.Attempts, in.LastAttempt = n, last }
}

func TestEverySituationHasItsState(t *testing.T) {
	tests := map[string]struct {
		in   state.Input
		want state.State
	}{
		"deployed with the inputs of now":                     {observed(), state.InSync},
		"deployed with other inputs that render the same":     {observed(withHistory(revision(deployed, before)), same), state.InSync},
		"deployed without a known digest, rendering the same": {observed(withHistory(revision(deployed, "")), same), state.InSync},
		"deployed with other inputs":                          {observed(withHistory(revision(deployed, before))), state.OutOfDate},
		"deployed without a known digest":                     {observed(withHistory(revision(deployed, ""))), state.OutOfDate},
		"an object is not what it was":                        {observed(suspects(1)), state.Drifted},
		"an object is not what it was and the inputs render the same": {
			observed(withHistory(revision(deployed, before)), same, suspects(1)), state.Drifted,
		},
		"an object is not what it was and the inputs changed": {
			observed(withHistory(revision(deployed, before)), suspects(1)), state.OutOfDate,
		},
		"a release of another kind":              {observed(withHistory(release.Revision{Status: deployed, Digest: now, Owner: "Other.example.test"})), state.Taken},
		"no release":                             {observed(withHistory()), state.NotInstalled},
		"the release was uninstalled":            {observed(withHistory(revision(uninstalled, now))), state.NotInstalled},
		"only superseded revisions":              {observed(withHistory(revision(superseded, now))), state.OutOfDate},
		"killed while installing":                {observed(withHistory(revision(pendingInstall, now))), state.Interrupted},
		"killed while upgrading":                 {observed(withHistory(revision(pendingUpgrade, now), revision(deployed, before))), state.Interrupted},
		"killed while rolling back":              {observed(withHistory(revision(pendingRollback, before), revision(failed, now), revision(deployed, before))), state.Interrupted},
		"killed while uninstalling":              {observed(withHistory(revision(uninstalling, now))), state.Interrupted},
		"a revision whose status nobody knows":   {observed(withHistory(revision(unknown, now))), state.Interrupted},
		"the install failed, long ago":           {observed(withHistory(revision(failed, now))), state.Failed},
		"the install failed with other inputs":   {observed(withHistory(revision(failed, before))), state.OutOfDate},
		"unlocked after a crash":                 {observed(withHistory(revision(failed, ""), revision(deployed, before)), at(noon)), state.OutOfDate},
		"the upgrade failed, long ago":           {observed(withHistory(revision(failed, now), revision(deployed, before))), state.Failed},
		"the upgrade failed and was rolled back": {observed(withHistory(revision(deployed, before), revision(failed, now), revision(superseded, before))), state.OutOfDate},
		"a failed upgrade, and the resource is as it was before it": {
			observed(withHistory(revision(deployed, now), revision(failed, before), revision(superseded, now)), at(noon)), state.InSync,
		},
		"a failed upgrade below a deployed one": {observed(withHistory(revision(deployed, now), revision(failed, now)), at(noon)), state.InSync},

		"the install failed just now":          {observed(withHistory(revision(failed, now)), at(noon)), state.BackingOff},
		"the upgrade failed just now":          {observed(withHistory(revision(failed, now), revision(deployed, before)), at(noon)), state.BackingOff},
		"the upgrade was rolled back just now": {observed(withHistory(revision(deployed, before), revision(failed, now), revision(superseded, before)), at(noon)), state.BackingOff},
		"refused just now, before it began":    {observed(withHistory(revision(deployed, before)), attempts(1, noon), at(noon)), state.BackingOff},
		"refused just now, nothing installed":  {observed(withHistory(), attempts(1, noon), at(noon)), state.BackingOff},
		"refused long ago":                     {observed(withHistory(revision(deployed, before)), attempts(4, noon)), state.OutOfDate},
		"failed just now with other inputs":    {observed(withHistory(revision(failed, before), revision(deployed, before)), at(noon)), state.OutOfDate},
		"rolled back just now, and an object is missing": {
			observed(withHistory(revision(deployed, before), revision(failed, now), revision(superseded, before)), at(noon), suspects(2)), state.Drifted,
		},
		"failed install just now, nothing to keep right": {observed(withHistory(revision(failed, now)), at(noon), suspects(2)), state.BackingOff},
		"killed while upgrading again after a failure": {
			observed(withHistory(revision(pendingUpgrade, now), revision(failed, now), revision(deployed, before)), at(noon)), state.Interrupted,
		},
		"drifted with an old refusal of these inputs": {observed(attempts(1, noon), at(noon), suspects(1)), state.Drifted},
		"in sync with an old refusal of these inputs": {observed(attempts(1, noon), at(noon)), state.InSync},

		"a release of another chart":              {observed(withHistory(release.Revision{Status: deployed, Digest: now, Chart: "other"})), state.Taken},
		"a failed release of another chart":       {observed(withHistory(release.Revision{Status: failed, Digest: before, Chart: "other"})), state.Taken},
		"a pending release of another chart":      {observed(withHistory(release.Revision{Status: pendingUpgrade, Chart: "other"})), state.Taken},
		"a release of another chart, backing off": {observed(withHistory(release.Revision{Status: failed, Digest: now, Chart: "other"}), at(noon)), state.Taken},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := state.Decide(test.in)
			assert.Equal(t, test.want, got.State, got.Reason)
			assert.NotEmpty(t, got.Reason)
			test.in.Deleting = true
			assert.Equal(t, state.Deleting, state.Decide(test.in).State, "being deleted goes before all else")
		})
	}
}

func TestReasonsNameWhatUsersLookFor(t *testing.T) {
	tests := map[string]struct {
		in   state.Input
		want []string
	}{
		"the other chart": {
			observed(withHistory(release.Revision{Status: deployed, Chart: "other"})), []string{"chart other", "not demo"},
		},
		"the revision and what it was doing": {
			observed(withHistory(revision(pendingUpgrade, now), revision(deployed, now))), []string{"revision 2", "pending-upgrade"},
		},
		"why it failed":          {observed(withHistory(revision(failed, now))), []string{"revision 1", "Upgrade failed: no"}},
		"how many objects":       {observed(suspects(3)), []string{"3 objects"}},
		"when it is tried again": {observed(withHistory(revision(failed, now)), at(noon.Add(4*time.Second))), []string{"6s"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, want := range test.want {
				assert.Contains(t, state.Decide(test.in).Reason, want)
			}
		})
	}
}

func TestOnlyBackingOffWaits(t *testing.T) {
	tests := map[string]struct {
		in   state.Input
		want time.Duration
	}{
		"one failure just now":                    {observed(withHistory(revision(failed, now)), at(noon)), 10 * time.Second},
		"one failure, part of the wait is over":   {observed(withHistory(revision(failed, now)), at(noon.Add(7*time.Second))), 3 * time.Second},
		"a moment before the end":                 {observed(withHistory(revision(failed, now)), at(noon.Add(10*time.Second-1))), 1},
		"the end of the wait":                     {observed(withHistory(revision(failed, now)), at(noon.Add(10*time.Second))), 0},
		"two failures":                            {observed(withHistory(revision(failed, now), revision(failed, now)), at(noon)), 40 * time.Second},
		"three failures":                          {observed(withHistory(revision(failed, now), revision(failed, now), revision(failed, now)), at(noon)), 160 * time.Second},
		"more refusals than failures":             {observed(withHistory(revision(failed, now)), attempts(2, noon), at(noon)), 40 * time.Second},
		"fewer refusals than failures, but later": {observed(withHistory(revision(failed, now), revision(failed, now)), attempts(1, noon.Add(time.Minute)), at(noon.Add(time.Minute))), 40 * time.Second},
		"a clock that went back":                  {observed(withHistory(revision(failed, now)), at(noon.Add(-time.Second))), 11 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := state.Decide(test.in)
			assert.Equal(t, test.want, got.Wait)
			assert.Equal(t, test.want > 0, got.State == state.BackingOff)
		})
	}
}

func TestTheBackoffGrowsFourfoldUpToTenMinutes(t *testing.T) {
	for n, want := range map[int]time.Duration{
		-1: 0, 0: 0, 1: 10 * time.Second, 2: 40 * time.Second, 3: 160 * time.Second, 4: 10 * time.Minute, 5: 10 * time.Minute,
		1000: 10 * time.Minute, 1 << 40: 10 * time.Minute,
	} {
		assert.Equal(t, want, state.Backoff(n), n)
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(-5, 1<<40).Draw(t, "n")
		require.LessOrEqual(t, state.Backoff(n), state.Backoff(n+1))
		require.LessOrEqual(t, state.Backoff(n), 10*time.Minute)
		require.GreaterOrEqual(t, state.Backoff(n), time.Duration(0))
	})
}

// situation generates any observation at all.
func situation() *rapid.Generator[state.Input] {
	digests := rapid.SampledFrom([]string{"", now, before})
	statuses := rapid.SampledFrom([]helmrelease.Status{
		deployed, failed, superseded, uninstalled, pendingInstall, pendingUpgrade, pendingRollback, uninstalling, unknown, "", "new in Helm 4",
	})
	moments := rapid.Map(rapid.Int64Range(-3600, 3600), func(s int64) time.Time { return noon.Add(time.Duration(s) * time.Second) })
	return rapid.Custom(func(t *rapid.T) state.Input {
		list := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) release.Revision {
			r := revision(statuses.Draw(t, "status"), digests.Draw(t, "digest"))
			r.Chart = rapid.SampledFrom([]string{"demo", "other"}).Draw(t, "chart")
			return r
		}), 0, 5).Draw(t, "history")
		return state.Input{
			Deleting: rapid.Bool().Draw(t, "deleting"), Chart: "demo", Digest: now,
			SameManifest: rapid.Bool().Draw(t, "same manifest"), History: revisions(list...),
			Attempts: rapid.IntRange(0, 6).Draw(t, "attempts"), LastAttempt: moments.Draw(t, "last attempt"),
			Suspects: rapid.IntRange(0, 2).Draw(t, "suspects"), Now: moments.Draw(t, "now"),
		}
	})
}

func TestEveryObservationLeadsToASensibleDecision(t *testing.T) {
	states := map[state.State]bool{
		state.Deleting: true, state.Taken: true, state.NotInstalled: true, state.Interrupted: true, state.BackingOff: true,
		state.Failed: true, state.OutOfDate: true, state.Drifted: true, state.InSync: true,
	}
	rapid.Check(t, func(t *rapid.T) {
		in := situation().Draw(t, "in")
		got := state.Decide(in)
		require.True(t, states[got.State], "%q", got.State)
		require.NotEmpty(t, got.Reason)
		require.Equal(t, got.State == state.BackingOff, got.Wait > 0, "only backing off waits, and it does")
		require.Equal(t, in.Deleting, got.State == state.Deleting)
		require.Equal(t, got, state.Decide(in), "the same again")

		deployedNow, isDeployed := in.History.Deployed()
		switch got.State {
		case state.InSync:
			require.True(t, isDeployed && in.Suspects == 0)
			require.True(t, deployedNow.Digest == in.Digest || in.SameManifest)
		case state.Drifted:
			require.True(t, isDeployed && in.Suspects > 0, "only what is deployed can have drifted")
		case state.BackingOff:
			count, _ := in.History.FailedAttempts(in.Digest)
			require.True(t, count > 0 || in.Attempts > 0, "only inputs that failed wait")
		case state.Taken:
			require.Equal(t, "other", in.History[0].Chart)
		}
		if len(in.History) > 0 && in.History[0].Chart == "other" && !in.Deleting {
			require.Equal(t, state.Taken, got.State, "a release of another chart is never touched")
		}
	})
}
