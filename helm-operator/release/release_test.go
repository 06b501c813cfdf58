package release_test

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	helmrelease "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	helmtime "helm.sh/helm/v3/pkg/time"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"

	"github.com/datapower-operator/datapower-operator/helm-operator/release"
)

var start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// record is a stored revision of release gw, made version minutes after start.
func record(version int, status helmrelease.Status, digest string) *helmrelease.Release {
	r := &helmrelease.Release{
		Name: "gw", Namespace: "prod", Version: version,
		Chart: &chart.Chart{Metadata: &chart.Metadata{Name: "demo", Version: "1.0.0"}},
		Info: &helmrelease.Info{
			Status: status, LastDeployed: helmtime.Time{Time: start.Add(time.Duration(version) * time.Minute)},
			Description: "made by a test",
		},
		Labels: map[string]string{"kept": "yes"},
	}
	if digest != "" {
		r.Labels[release.DigestLabel] = digest
	}
	return r
}

func stored(t *testing.T, records ...*helmrelease.Release) *storage.Storage {
	t.Helper()
	memory := driver.NewMemory()
	memory.SetNamespace("prod")
	s := storage.Init(memory)
	for _, r := range records {
		require.NoError(t, s.Create(r))
	}
	return s
}

func read(t *testing.T, s *storage.Storage) release.History {
	t.Helper()
	h, records, err := release.Read(s, "gw")
	require.NoError(t, err)
	require.Len(t, records, len(h))
	for i := range h {
		assert.Equal(t, records[i].Version, h[i].Version, "records have the order of the history")
	}
	return h
}

func TestTheHistoryIsNewestFirst(t *testing.T) {
	s := stored(t,
		record(2, helmrelease.StatusSuperseded, "b"), record(10, helmrelease.StatusDeployed, "d"),
		record(1, helmrelease.StatusSuperseded, "a"), record(9, helmrelease.StatusFailed, ""))
	got := read(t, s)
	var versions []int
	for _, r := range got {
		versions = append(versions, r.Version)
	}
	assert.Equal(t, []int{10, 9, 2, 1}, versions)
	assert.Equal(t, release.Revision{
		Version: 10, Status: helmrelease.StatusDeployed, Digest: "d", Chart: "demo",
		Time: start.Add(10 * time.Minute), Description: "made by a test",
	}, got[0])
	assert.Empty(t, got[1].Digest)
}

func TestThereIsNoHistoryWithoutARelease(t *testing.T) {
	assert.Empty(t, read(t, stored(t)))
	other := record(1, helmrelease.StatusDeployed, "")
	other.Name = "other"
	assert.Empty(t, read(t, stored(t, other)))
}

// broken is a storage that cannot be reached.
type broken struct {
	*driver.Memory
	err error
}

func (b broken) Query(map[string]string) ([]*helmrelease.Release, error) { return nil, b.err }
func (b broken) Update(string, *helmrelease.Release) error               { return b.err }

func TestAStorageThatCannotBeReadIsAnError(t *testing.T) {
	cause := errors.New("no connection")
	_, _, err := release.Read(storage.Init(broken{driver.NewMemory(), cause}), "gw")
	assert.ErrorIs(t, err, cause)
}

func TestARecordWithoutDetailsIsReadAsFarAsItGoes(t *testing.T) {
	bare := &helmrelease.Release{Name: "gw", Namespace: "prod", Version: 1, Info: &helmrelease.Info{Status: helmrelease.StatusDeployed}}
	assert.Equal(t, release.Revision{Version: 1, Status: helmrelease.StatusDeployed}, read(t, stored(t, bare))[0])
}

func history(revisions ...release.Revision) release.History { return revisions }

func revision(version int, status helmrelease.Status, digest string) release.Revision {
	return release.Revision{Version: version, Status: status, Digest: digest, Time: start.Add(time.Duration(version) * time.Minute)}
}

func TestTheNewestDeployedRevisionCounts(t *testing.T) {
	tests := map[string]struct {
		history release.History
		want    int // version, 0 for none
	}{
		"no history":                 {history(), 0},
		"the newest":                 {history(revision(2, helmrelease.StatusDeployed, ""), revision(1, helmrelease.StatusSuperseded, "")), 2},
		"one below a failed one":     {history(revision(2, helmrelease.StatusFailed, ""), revision(1, helmrelease.StatusDeployed, "")), 1},
		"the newer of two":           {history(revision(3, helmrelease.StatusDeployed, ""), revision(1, helmrelease.StatusDeployed, "")), 3},
		"none of failed and pending": {history(revision(2, helmrelease.StatusPendingUpgrade, ""), revision(1, helmrelease.StatusFailed, "")), 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := test.history.Deployed()
			assert.Equal(t, test.want != 0, ok)
			assert.Equal(t, test.want, got.Version)
		})
	}
}

func TestAReleaseWasDeployedIfAnyRevisionEverWas(t *testing.T) {
	for status, want := range map[helmrelease.Status]bool{
		helmrelease.StatusDeployed: true, helmrelease.StatusSuperseded: true, helmrelease.StatusFailed: false,
		helmrelease.StatusPendingInstall: false, helmrelease.StatusPendingUpgrade: false, helmrelease.StatusUninstalled: false,
	} {
		assert.Equal(t, want, history(revision(2, helmrelease.StatusFailed, ""), revision(1, status, "")).EverDeployed(), status)
	}
	assert.False(t, history().EverDeployed())
}

func TestFailuresWithTheseInputsAreCountedBackToTheLastSuccessWithThem(t *testing.T) {
	const (
		failed     = helmrelease.StatusFailed
		deployed   = helmrelease.StatusDeployed
		superseded = helmrelease.StatusSuperseded
	)
	tests := map[string]struct {
		history release.History
		want    int
		last    int // version of the newest failure, 0 for none
	}{
		"no history":                           {history(), 0, 0},
		"a success":                            {history(revision(1, deployed, "now")), 0, 0},
		"one failure":                          {history(revision(1, failed, "now")), 1, 1},
		"three failures":                       {history(revision(3, failed, "now"), revision(2, failed, "now"), revision(1, failed, "now")), 3, 3},
		"a failure of other inputs":            {history(revision(1, failed, "before")), 0, 0},
		"an interruption, which has no digest": {history(revision(1, failed, "")), 0, 0},
		"failures with rollbacks between": {history(
			revision(5, deployed, "before"), revision(4, failed, "now"), revision(3, superseded, "before"), revision(2, failed, "now"),
			revision(1, superseded, "before")), 2, 4},
		"failures before the last success": {history(revision(3, deployed, "now"), revision(2, failed, "now"), revision(1, failed, "now")), 0, 0},
		"a failure after a success": {history(
			revision(4, failed, "now"), revision(3, superseded, "other"), revision(2, superseded, "now"), revision(1, failed, "now")), 1, 4},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			count, last := test.history.FailedAttempts("now")
			assert.Equal(t, test.want, count)
			if test.last == 0 {
				assert.True(t, last.IsZero())
				return
			}
			assert.Equal(t, start.Add(time.Duration(test.last)*time.Minute), last)
		})
	}
}

// inputs of a release, with changes.
func inputs(changes ...func(*release.Inputs)) release.Inputs {
	caps := chartutil.DefaultCapabilities.Copy()
	caps.KubeVersion = chartutil.KubeVersion{Version: "v1.31.2", Major: "1", Minor: "31"}
	caps.APIVersions = chartutil.VersionSet{"v1", "apps/v1", "apps/v1/Deployment"}
	in := release.Inputs{
		ChartDigest: "abc", Capabilities: caps,
		Values: chartutil.Values{"replicas": float64(3), "image": map[string]any{"tag": "1.10"}, "list": []any{"a", "b"}},
	}
	for _, change := range changes {
		change(&in)
	}
	return in
}

func digest(t require.TestingT, in release.Inputs) string {
	d, err := in.Digest()
	require.NoError(t, err)
	return d
}

func TestTheDigestFitsIntoALabel(t *testing.T) {
	assert.Regexp(t, "^[0-9a-f]{32}$", digest(t, inputs()))
	assert.Regexp(t, "^[0-9a-f]{32}$", digest(t, inputs(func(in *release.Inputs) { in.Values = nil })))
}

func TestTheDigestChangesWithEveryInput(t *testing.T) {
	seen := map[string]string{digest(t, inputs()): "nothing"}
	for name, change := range map[string]func(*release.Inputs){
		"the chart":                 func(in *release.Inputs) { in.ChartDigest = "abd" },
		"a value":                   func(in *release.Inputs) { in.Values["replicas"] = float64(4) },
		"the type of a value":       func(in *release.Inputs) { in.Values["replicas"] = "3" },
		"a value more":              func(in *release.Inputs) { in.Values["more"] = nil },
		"a value less":              func(in *release.Inputs) { delete(in.Values, "replicas") },
		"a nested value":            func(in *release.Inputs) { in.Values["image"] = map[string]any{"tag": "1.1"} },
		"the order of a list":       func(in *release.Inputs) { in.Values["list"] = []any{"b", "a"} },
		"the version of Kubernetes": func(in *release.Inputs) { in.Capabilities.KubeVersion.Version = "v1.31.3" },
		"an API version more":       func(in *release.Inputs) { in.Capabilities.APIVersions = append(in.Capabilities.APIVersions, "x/v1") },
		"an API version less":       func(in *release.Inputs) { in.Capabilities.APIVersions = in.Capabilities.APIVersions[:2] },
		"no values":                 func(in *release.Inputs) { in.Values = nil },
	} {
		t.Run(name, func(t *testing.T) {
			d := digest(t, inputs(change))
			assert.NotContains(t, seen, d, "as for "+seen[d])
			seen[d] = name
		})
	}
}

func TestTheDigestDoesNotDependOnTheOrderOfAPIVersions(t *testing.T) {
	want := digest(t, inputs())
	got := digest(t, inputs(func(in *release.Inputs) {
		slices.Reverse(in.Capabilities.APIVersions)
	}))
	assert.Equal(t, want, got)
}

func TestComputingADigestChangesNothing(t *testing.T) {
	in := inputs(func(in *release.Inputs) { in.Capabilities.APIVersions = chartutil.VersionSet{"z", "a"} })
	digest(t, in)
	assert.Equal(t, chartutil.VersionSet{"z", "a"}, in.Capabilities.APIVersions)
}

func TestEqualValuesHaveEqualDigestsAndOthersHaveNot(t *testing.T) {
	values := rapid.MapOfN(rapid.StringMatching("[ab]"), rapid.OneOf(
		rapid.Map(rapid.SampledFrom([]string{"", "a", "1"}), func(s string) any { return s }),
		rapid.Map(rapid.Float64Range(0, 1), func(f float64) any { return f }),
		rapid.Map(rapid.MapOfN(rapid.StringMatching("[ab]"), rapid.Bool(), 0, 2), func(m map[string]bool) any {
			out := map[string]any{}
			for k, v := range m {
				out[k] = v
			}
			return out
		}),
	), 0, 2)
	rapid.Check(t, func(t *rapid.T) {
		a, b := values.Draw(t, "a"), values.Draw(t, "b")
		aText, err := json.Marshal(a)
		require.NoError(t, err)
		bText, err := json.Marshal(b)
		require.NoError(t, err)
		digestOf := func(v map[string]any) string {
			return digest(t, inputs(func(in *release.Inputs) { in.Values = maps.Clone(v) }))
		}
		require.Equal(t, string(aText) == string(bText), digestOf(a) == digestOf(b))
		require.Equal(t, digestOf(a), digestOf(a))
	})
}

func TestUnlockingMakesAnInterruptedRevisionAFailedOneThatDoesNotCount(t *testing.T) {
	for _, status := range []helmrelease.Status{
		helmrelease.StatusPendingInstall, helmrelease.StatusPendingUpgrade, helmrelease.StatusPendingRollback,
		helmrelease.StatusUninstalling, helmrelease.StatusUnknown,
	} {
		t.Run(string(status), func(t *testing.T) {
			s := stored(t, record(1, helmrelease.StatusDeployed, "before"), record(2, helmrelease.StatusFailed, "now"), record(3, status, "now"))
			_, records, err := release.Read(s, "gw")
			require.NoError(t, err)
			require.NoError(t, release.Unlock(s, records[0]))

			h := read(t, s)
			require.Len(t, h, 3)
			assert.Equal(t, helmrelease.StatusFailed, h[0].Status)
			assert.True(t, h[0].Interrupted)
			assert.Contains(t, h[0].Description, string(status))
			count, last := h.FailedAttempts("now")
			assert.Equal(t, 1, count, "an interruption is no failure of these inputs")
			assert.Equal(t, start.Add(2*time.Minute), last)
			assert.False(t, h[1].Interrupted)
			assert.Equal(t, helmrelease.StatusDeployed, h[2].Status, "the revisions below are left alone")
			again, err := s.Get("gw", 3)
			require.NoError(t, err)
			assert.Equal(t, "yes", again.Labels["kept"], "labels stay")
		})
	}
}

func hook(name string, phase helmrelease.HookPhase) *helmrelease.Hook {
	return &helmrelease.Hook{Name: name, Kind: "Job", LastRun: helmrelease.HookExecution{Phase: phase},
		Events: []helmrelease.HookEvent{helmrelease.HookPreInstall, helmrelease.HookPreUpgrade}}
}

func records(list ...*helmrelease.Release) []*helmrelease.Release { return list }

func TestHooksOfAnInterruptedActionAreFinishedOnlyForTheSameInputs(t *testing.T) {
	interrupted := func(status helmrelease.Status, digest string) *helmrelease.Release {
		rel := record(1, status, digest)
		rel.Hooks = []*helmrelease.Hook{
			hook("done", helmrelease.HookPhaseSucceeded), hook("failed", helmrelease.HookPhaseFailed),
			hook("running", helmrelease.HookPhaseRunning), hook("unknown", helmrelease.HookPhaseUnknown), hook("waiting", ""),
		}
		require.NoError(t, release.Unlock(stored(t, rel), rel))
		return rel
	}
	for status, verb := range map[helmrelease.Status]release.Verb{
		helmrelease.StatusPendingInstall: release.Installing, helmrelease.StatusPendingUpgrade: release.Upgrading,
	} {
		done := release.FinishedHooks(records(interrupted(status, "now")), "now", verb)
		require.Len(t, done, 1, status)
		assert.Equal(t, "done", done[0].Name)
		assert.Empty(t, release.FinishedHooks(records(interrupted(status, "before")), "now", verb), status)
	}
	for _, other := range []helmrelease.Status{helmrelease.StatusPendingUpgrade, helmrelease.StatusPendingRollback, helmrelease.StatusUnknown} {
		assert.Empty(t, release.FinishedHooks(records(interrupted(other, "now")), "now", release.Installing), "what ran for %s ran for another event", other)
	}

	failed := record(1, helmrelease.StatusFailed, "now")
	failed.Hooks = []*helmrelease.Hook{hook("done", helmrelease.HookPhaseSucceeded)}
	assert.Empty(t, release.FinishedHooks(records(failed), "now", release.Installing), "a failed action is repeated from its start")
}

// The process that repeats an interrupted action may die before it comes to the hooks that are done.
func TestHooksAreFinishedHoweverOftenTheirActionWasInterrupted(t *testing.T) {
	interrupted := func(version int, status helmrelease.Status, hooks ...*helmrelease.Hook) *helmrelease.Release {
		rel := record(version, status, "now")
		rel.Hooks = hooks
		require.NoError(t, release.Unlock(stored(t, rel), rel))
		return rel
	}
	done := release.FinishedHooks(records(
		interrupted(4, helmrelease.StatusPendingUpgrade, hook("first", ""), hook("second", "")),
		interrupted(3, helmrelease.StatusPendingUpgrade, hook("first", helmrelease.HookPhaseSucceeded), hook("second", helmrelease.HookPhaseRunning)),
		record(2, helmrelease.StatusDeployed, "before"),
		interrupted(1, helmrelease.StatusPendingUpgrade, hook("second", helmrelease.HookPhaseSucceeded)),
	), "now", release.Upgrading)
	require.Len(t, done, 1)
	assert.Equal(t, "first", done[0].Name)
	assert.Empty(t, release.FinishedHooks(nil, "now", release.Upgrading))
}

// Of a hook that runs before and after an action the record tells only when it ran last.
func TestAHookThatRunsBeforeAndAfterAnActionIsNeverFinished(t *testing.T) {
	twice := hook("twice", helmrelease.HookPhaseSucceeded)
	twice.Events = []helmrelease.HookEvent{helmrelease.HookPreUpgrade, helmrelease.HookPostUpgrade, helmrelease.HookPostInstall}
	for status, want := range map[helmrelease.Status]struct {
		verb release.Verb
		n    int
	}{
		helmrelease.StatusPendingUpgrade: {release.Upgrading, 0},
		helmrelease.StatusPendingInstall: {release.Installing, 1},
	} {
		rel := record(1, status, "now")
		rel.Hooks = []*helmrelease.Hook{twice}
		require.NoError(t, release.Unlock(stored(t, rel), rel))
		assert.Len(t, release.FinishedHooks(records(rel), "now", want.verb), want.n, status)
	}
}

func TestARevisionIsOfItsChartAndOfItsOwnersKind(t *testing.T) {
	tests := map[string]struct {
		revision release.Revision
		want     bool
	}{
		"the chart's, for the kind":                   {release.Revision{Chart: "demo", Owner: "Demo.example.test"}, true},
		"another chart's":                             {release.Revision{Chart: "other", Owner: "Demo.example.test"}, false},
		"the chart's, for another kind":               {release.Revision{Chart: "demo", Owner: "Other.example.test"}, false},
		"the chart's, for that kind of another group": {release.Revision{Chart: "demo", Owner: "Demo.elsewhere.test"}, false},
		"the chart's, made by another operator":       {release.Revision{Chart: "demo"}, true},
		"unreadable":                                  {release.Revision{}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.want, test.revision.Of("demo", "Demo.example.test"))
		})
	}
}

func TestAnOwnersKindFitsIntoALabel(t *testing.T) {
	assert.Equal(t, "Demo.example.test", release.OwnerOf(schema.GroupKind{Group: "example.test", Kind: "Demo"}))
	assert.Equal(t, "Demo", release.OwnerOf(schema.GroupKind{Kind: "Demo"}))
	rapid.Check(t, func(t *rapid.T) {
		kind := schema.GroupKind{
			Group: rapid.StringMatching(`[a-z]([a-z0-9.-]{0,80}[a-z0-9])?`).Draw(t, "group"),
			Kind:  rapid.StringMatching(`[A-Z][A-Za-z0-9]{0,62}`).Draw(t, "kind"),
		}
		value := release.OwnerOf(kind)
		assert.Empty(t, validation.IsValidLabelValue(value), value)
		kind.Group += "x"
		assert.NotEqual(t, value, release.OwnerOf(kind))
	})
}

func TestSupersedingLeavesOneDeployedRevision(t *testing.T) {
	s := stored(t, record(1, helmrelease.StatusDeployed, "before"), record(2, helmrelease.StatusDeployed, "now"))
	_, records, err := release.Read(s, "gw")
	require.NoError(t, err)
	require.NoError(t, release.Supersede(s, records[1]))
	h := read(t, s)
	assert.Equal(t, helmrelease.StatusDeployed, h[0].Status)
	assert.Equal(t, helmrelease.StatusSuperseded, h[1].Status)
	assert.Equal(t, "before", h[1].Digest)
}

func TestAStorageThatCannotBeWrittenIsAnError(t *testing.T) {
	cause := errors.New("no connection")
	s := storage.Init(broken{driver.NewMemory(), cause})
	assert.ErrorIs(t, release.Unlock(s, record(2, helmrelease.StatusPendingUpgrade, "")), cause)
	assert.ErrorIs(t, release.Supersede(s, record(2, helmrelease.StatusDeployed, "")), cause)
}
