package storage_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart"
	helmrelease "helm.sh/helm/v3/pkg/release"
	helmstorage "helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	ktesting "k8s.io/client-go/testing"

	"github.com/datapower-operator/datapower-operator/helm-operator/storage"
)

// helmsOwn is Helm's driver on the same Secrets.
func (w *world) helmsOwn() *helmstorage.Storage {
	return helmstorage.Init(driver.NewSecrets(w.kube.CoreV1().Secrets("prod")))
}

func (w *world) driver() *storage.Driver { return w.Driver.(*storage.Driver) }

// lists counts how often Secrets were listed.
func (w *world) lists() int {
	n := 0
	for _, a := range w.kube.Actions() {
		if a.Matches("list", "secrets") {
			n++
		}
	}
	return n
}

func statuses(rels []*helmrelease.Release) []string {
	var out []string
	for _, r := range rels {
		out = append(out, fmt.Sprintf("%d %s", r.Version, r.Info.Status))
	}
	return out
}

func TestHelmReadsWhatIsWrittenButForTheFilesOfTheChart(t *testing.T) {
	w := newWorld(t)
	rel := revision(3, small)
	rel.Config = map[string]any{"replicas": float64(2)}
	rel.Hooks = []*helmrelease.Hook{{Name: "hook", Kind: "Job", Manifest: "kind: Job"}}
	rel.Info.Notes, rel.Info.Description = "notes", "Install complete"
	rel.Chart = &chart.Chart{
		Metadata: &chart.Metadata{Name: "demo", Version: "1.0.0", AppVersion: "7"}, Values: map[string]any{"replicas": float64(1), "port": float64(80)},
		Templates: []*chart.File{{Name: "templates/a.yaml", Data: []byte("a")}}, Files: []*chart.File{{Name: "b", Data: []byte("b")}},
		Schema: []byte("{}"),
	}
	require.NoError(t, w.Create(rel))
	got, err := w.helmsOwn().Get("gw", 3)
	require.NoError(t, err)
	want := *rel
	want.Chart = &chart.Chart{Metadata: rel.Chart.Metadata, Values: rel.Chart.Values}
	got.Labels, want.Labels = nil, nil
	assert.Equal(t, want.Chart, got.Chart)
	assert.Equal(t, &want, got)
	assert.Len(t, rel.Chart.Templates, 1, "what is stored is a copy")
}

func TestSecretsAreLabelledAsHelmLabelsThem(t *testing.T) {
	w := newWorld(t)
	other := newWorld(t)
	require.NoError(t, w.Create(revision(1, small)))
	require.NoError(t, other.helmsOwn().Create(revision(1, small)))
	ours, helms := w.secrets()[0], other.secrets()[0]
	delete(ours.Labels, "owner-uid")
	ours.Labels["createdAt"], helms.Labels["createdAt"] = "", ""
	assert.Equal(t, helms.Labels, ours.Labels)
	assert.Equal(t, helms.Name, ours.Name)
	assert.Equal(t, helms.Type, ours.Type)

	require.NoError(t, w.Update(revision(1, small)))
	assert.NotEmpty(t, w.secrets()[0].Labels["modifiedAt"])
}

func TestAHistoryIsReadOnceAndKeptUpWithOwnWrites(t *testing.T) {
	w := newWorld(t)
	_, err := w.History("gw")
	require.ErrorIs(t, err, driver.ErrReleaseNotFound)
	require.NoError(t, w.Create(revision(1, small)))
	require.NoError(t, w.Create(revision(2, small)))
	superseded := revision(1, small)
	superseded.Info.Status = helmrelease.StatusSuperseded
	require.NoError(t, w.Update(superseded))
	history, err := w.History("gw")
	require.NoError(t, err)
	assert.Equal(t, []string{"1 superseded", "2 deployed"}, statuses(history))
	deployed, err := w.Deployed("gw")
	require.NoError(t, err)
	assert.Equal(t, 2, deployed.Version)
	assert.Equal(t, "2", deployed.Labels["digest"])
	assert.Equal(t, 1, w.lists())

	_, err = w.Storage.Delete("gw", 2)
	require.NoError(t, err)
	before := w.lists()
	_, err = w.Deployed("gw")
	require.ErrorIs(t, err, driver.ErrNoDeployedReleases)
	assert.Equal(t, before, w.lists())
}

func TestWhatOthersWroteIsSeenAfterForgetting(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.Create(revision(1, small)))
	_, err := w.History("gw")
	require.NoError(t, err)
	require.NoError(t, w.helmsOwn().Create(revision(2, small)))
	history, err := w.History("gw")
	require.NoError(t, err)
	assert.Len(t, history, 1)
	w.driver().Forget()
	history, err = w.History("gw")
	require.NoError(t, err)
	assert.Len(t, history, 2)
}

func TestAReleaseOfAnotherNameIsNotAnsweredFromMemory(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.Create(revision(1, small)))
	_, err := w.History("gw")
	require.NoError(t, err)
	other := revision(1, small)
	other.Name = "other"
	require.NoError(t, w.Create(other))
	got, err := w.History("other")
	require.NoError(t, err)
	assert.Equal(t, "other", got[0].Name)
	known, err := w.History("gw")
	require.NoError(t, err)
	assert.Len(t, known, 1)
}

// Helm's actions set the status of a record before they write it, and the write may fail.
func TestEditsOfARecordAreNotRemembered(t *testing.T) {
	w := newWorld(t)
	rel := revision(1, small)
	rel.Hooks = []*helmrelease.Hook{{Name: "hook"}}
	_, _ = w.History("gw")
	require.NoError(t, w.Create(rel))
	edit := func(r *helmrelease.Release) {
		r.Info.Status = helmrelease.StatusFailed
		r.Labels["digest"] = "edited"
		r.Hooks[0].LastRun.Phase = helmrelease.HookPhaseFailed
	}
	edit(rel)
	for range 2 {
		history, err := w.History("gw")
		require.NoError(t, err)
		assert.Equal(t, []string{"1 deployed"}, statuses(history))
		assert.Equal(t, "1", history[0].Labels["digest"])
		assert.Empty(t, history[0].Hooks[0].LastRun.Phase)
		edit(history[0])
	}
}

func TestAFailedWriteMakesTheNextLookAskAgain(t *testing.T) {
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, "x", errors.New("changed"))
	for verb, write := range map[string]func(*world) error{
		"create": func(w *world) error { return w.Create(revision(2, small)) },
		"update": func(w *world) error { return w.Update(revision(1, small)) },
		"delete": func(w *world) error { _, err := w.Storage.Delete("gw", 1); return err },
	} {
		t.Run(verb, func(t *testing.T) {
			w := newWorld(t)
			require.NoError(t, w.Create(revision(1, small)))
			_, err := w.History("gw")
			require.NoError(t, err)
			w.kube.PrependReactor(verb, "secrets", func(ktesting.Action) (bool, runtime.Object, error) { return true, nil, conflict })
			err = write(w)
			require.Error(t, err)
			assert.ErrorAs(t, err, new(*apierrors.StatusError))
			before := w.lists()
			_, err = w.History("gw")
			require.NoError(t, err)
			assert.Equal(t, before+1, w.lists())
		})
	}
}

func TestARevisionThatExistsIsHelmsError(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.Create(revision(1, small)))
	assert.ErrorIs(t, w.Create(revision(1, small)), driver.ErrReleaseExists)
}

func TestOnlyADeployedRevisionIsAnnotated(t *testing.T) {
	w := newWorld(t)
	w.driver().Annotate = func(r *helmrelease.Release) map[string]string { return map[string]string{"of": fmt.Sprint(r.Version)} }
	rel := revision(1, small)
	rel.Info.Status = helmrelease.StatusPendingInstall
	require.NoError(t, w.Create(rel))
	assert.Empty(t, w.secrets()[0].Annotations)
	rel.Info.Status = helmrelease.StatusDeployed
	require.NoError(t, w.Update(rel))
	assert.Equal(t, map[string]string{"of": "1"}, w.secrets()[0].Annotations)
	rel.Info.Status = helmrelease.StatusSuperseded
	require.NoError(t, w.Update(rel))
	assert.Empty(t, w.secrets()[0].Annotations)
}

func TestAnAnnotationIsKeptThoughTheReleaseIsInPieces(t *testing.T) {
	w := newWorld(t)
	w.driver().Annotate = func(*helmrelease.Release) map[string]string { return map[string]string{"a": "b"} }
	require.NoError(t, w.Create(revision(1, large)))
	s, err := w.kube.CoreV1().Secrets("prod").Get(context.Background(), "sh.helm.release.v1.gw.v1", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"a": "b"}, s.Annotations)
}
