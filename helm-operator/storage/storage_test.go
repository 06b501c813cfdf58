package storage_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	helmrelease "helm.sh/helm/v3/pkg/release"
	helmstorage "helm.sh/helm/v3/pkg/storage"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"

	"github.com/datapower-operator/datapower-operator/helm-operator/storage"
)

const pieceSize = 1000

// world is a storage that splits releases larger than pieceSize, in namespace prod.
type world struct {
	*testing.T
	*helmstorage.Storage
	kube *fake.Clientset
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, kube: fake.NewClientset()}
	owner := metav1.OwnerReference{APIVersion: "example.test/v1", Kind: "Demo", Name: "gw", UID: "uid-gw"}
	w.Storage = helmstorage.Init(storage.NewDriver(w.kube.CoreV1().Secrets("prod"), map[string]string{"owner-uid": "uid-gw"}, owner, pieceSize))
	return w
}

// revision is a release whose stored form has about as many bytes as its notes: random text can't be compressed.
func revision(version, size int) *helmrelease.Release {
	r := rand.New(rand.NewSource(int64(version))) //nolint:gosec // repeatable text, no secret
	notes := make([]byte, size)
	for i := range notes {
		notes[i] = byte('!' + r.Intn(90))
	}
	return &helmrelease.Release{
		Name: "gw", Namespace: "prod", Version: version, Manifest: string(notes),
		Info:   &helmrelease.Info{Status: helmrelease.StatusDeployed},
		Labels: map[string]string{"digest": fmt.Sprint(version)},
	}
}

func (w *world) secrets() []corev1.Secret {
	w.Helper()
	list, err := w.kube.CoreV1().Secrets("prod").List(context.Background(), metav1.ListOptions{})
	require.NoError(w, err)
	return list.Items
}

func (w *world) pieces() []corev1.Secret {
	w.Helper()
	var out []corev1.Secret
	for _, s := range w.secrets() {
		if _, ok := s.Labels[storage.PieceLabel]; ok {
			out = append(out, s)
		}
	}
	return out
}

const (
	small = 100
	large = 5000
)

func TestASmallReleaseIsOneSecretAsHelmWritesIt(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.Create(revision(1, small)))
	secrets := w.secrets()
	require.Len(t, secrets, 1)
	assert.Equal(t, "sh.helm.release.v1.gw.v1", secrets[0].Name)
	assert.EqualValues(t, "helm.sh/release.v1", secrets[0].Type)
	assert.Contains(t, secrets[0].Data, "release")
	got, err := w.Get("gw", 1)
	require.NoError(t, err)
	assert.Equal(t, revision(1, small).Manifest, got.Manifest)
}

func TestALargeReleaseIsInPiecesAndReadsTheSame(t *testing.T) {
	w := newWorld(t)
	for version, size := range map[int]int{1: large, 2: small, 3: 2 * large} {
		require.NoError(t, w.Create(revision(version, size)))
	}
	assert.GreaterOrEqual(t, len(w.pieces()), 10)
	for _, s := range w.secrets() {
		for key, data := range s.Data {
			assert.LessOrEqual(t, len(data), pieceSize, s.Name+" "+key)
		}
	}
	got, err := w.Get("gw", 3)
	require.NoError(t, err)
	assert.Equal(t, revision(3, 2*large).Manifest, got.Manifest)
	history, err := w.History("gw")
	require.NoError(t, err)
	assert.Len(t, history, 3, "pieces are no releases of their own")
	last, err := w.Last("gw")
	require.NoError(t, err)
	assert.Equal(t, 3, last.Version)
}

func TestEverySecretIsMarked(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.Create(revision(1, large)))
	for _, s := range w.secrets() {
		assert.Equal(t, "uid-gw", s.Labels["owner-uid"], s.Name)
		require.Len(t, s.OwnerReferences, 1)
		assert.EqualValues(t, "uid-gw", s.OwnerReferences[0].UID)
	}
}

func TestLabelsOfARevisionSurvive(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.Create(revision(1, large)))
	got, err := w.Get("gw", 1)
	require.NoError(t, err)
	assert.Equal(t, "1", got.Labels["digest"])
}

func TestAnUpdateLeavesNoOldPieces(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.Create(revision(1, large)))
	before := len(w.pieces())
	changed := revision(1, large)
	changed.Info.Status = helmrelease.StatusSuperseded
	require.NoError(t, w.Update(changed))
	got, err := w.Get("gw", 1)
	require.NoError(t, err)
	assert.Equal(t, helmrelease.StatusSuperseded, got.Info.Status)
	assert.Equal(t, changed.Manifest, got.Manifest)
	assert.InDelta(t, before, len(w.pieces()), 1)
}

func TestADeletionLeavesNothing(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.Create(revision(1, large)))
	require.NoError(t, w.Create(revision(2, large)))
	_, err := w.Delete("gw", 1)
	require.NoError(t, err)
	got, err := w.Get("gw", 2)
	require.NoError(t, err)
	assert.Equal(t, revision(2, large).Manifest, got.Manifest, "the pieces of others stay")
	_, err = w.Delete("gw", 2)
	require.NoError(t, err)
	assert.Empty(t, w.secrets())
}

func TestAReleaseWithALongNameMayBeInPieces(t *testing.T) {
	w := newWorld(t)
	rel := revision(1, large)
	rel.Name = strings.Repeat("n", 53) // the longest that Helm allows
	require.NoError(t, w.Create(rel))
	got, err := w.Get(rel.Name, 1)
	require.NoError(t, err)
	assert.Equal(t, rel.Manifest, got.Manifest)
	for _, s := range w.secrets() {
		assert.LessOrEqual(t, len(s.Name), 253)
		for _, value := range s.Labels {
			assert.LessOrEqual(t, len(value), 63)
		}
	}
	_, err = w.Delete(rel.Name, 1)
	require.NoError(t, err)
	assert.Empty(t, w.secrets())
}

func TestARevisionThatLostAPieceHidesNoOther(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.Create(revision(1, large)))
	pieces := w.pieces()
	require.NoError(t, w.Create(revision(2, large)))
	require.NoError(t, w.kube.CoreV1().Secrets("prod").Delete(context.Background(), pieces[0].Name, metav1.DeleteOptions{}))
	_, err := w.Get("gw", 1)
	require.ErrorIs(t, err, storage.ErrIncomplete)
	history, err := w.History("gw")
	require.NoError(t, err)
	require.Len(t, history, 1)
	assert.Equal(t, 2, history[0].Version)
}

func TestAFailureIsNoIncompleteRelease(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.Create(revision(1, large)))
	cause := errors.New("no connection")
	w.kube.PrependReactor("list", "secrets", func(a ktesting.Action) (bool, runtime.Object, error) {
		list, ok := a.(ktesting.ListAction)
		return ok && strings.Contains(list.GetListRestrictions().Labels.String(), storage.PieceLabel), nil, cause
	})
	_, err := w.History("gw")
	require.ErrorIs(t, err, cause)
	assert.NotErrorIs(t, err, storage.ErrIncomplete)
}

// The pieces that an update replaced are deleted after it; a process that dies in between leaves them, and a superseded
// revision is never written again.
func TestPiecesThatADeadProcessLeftGoWithTheNextLook(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.Create(revision(1, large)))
	cause := errors.New("the process is dead")
	dead := true
	w.kube.PrependReactor("delete", "secrets", func(ktesting.Action) (bool, runtime.Object, error) { return dead, nil, cause })
	before := len(w.pieces())
	rel := revision(1, large)
	rel.SetStatus(helmrelease.StatusSuperseded, "superseded")
	require.ErrorIs(t, w.Update(rel), cause)
	left := len(w.pieces())
	require.Greater(t, left, before, "the old pieces are still there")
	dead = false
	history, err := w.History("gw")
	require.NoError(t, err)
	require.Len(t, history, 1)
	assert.Equal(t, helmrelease.StatusSuperseded, history[0].Info.Status)
	assert.Less(t, len(w.pieces()), left)
	index, err := w.kube.CoreV1().Secrets("prod").Get(context.Background(), "sh.helm.release.v1.gw.v1", metav1.GetOptions{})
	require.NoError(t, err)
	for _, piece := range w.pieces() {
		assert.Contains(t, string(index.Data["pieces"]), piece.Name)
	}
}

// At every moment of an update there is a readable release: a process may die after any write.
func TestAnUpdateThatEndsAnywhereLeavesAReadableRelease(t *testing.T) {
	for n := range 20 {
		w := newWorld(t)
		require.NoError(t, w.Create(revision(1, large)))
		writes := 0
		for _, verb := range []string{"create", "update", "delete"} {
			w.kube.PrependReactor(verb, "secrets", func(ktesting.Action) (bool, runtime.Object, error) {
				writes++
				return writes > n, nil, errors.New("killed")
			})
		}
		changed := revision(1, large)
		changed.Info.Status = helmrelease.StatusSuperseded
		_ = w.Update(changed)
		got, err := w.Get("gw", 1)
		require.NoError(t, err, "after %d writes", n)
		assert.Equal(t, changed.Manifest, got.Manifest)
		if writes <= n {
			return
		}
	}
	require.Fail(t, "the update never got through")
}

func TestACreationThatEndsAnywhereIsRepeatedWithoutLeftovers(t *testing.T) {
	for n := range 20 {
		w := newWorld(t)
		writes, barred := 0, true
		w.kube.PrependReactor("create", "secrets", func(ktesting.Action) (bool, runtime.Object, error) {
			writes++
			return barred && writes > n, nil, errors.New("killed")
		})
		err := w.Create(revision(1, large))
		barred = false
		if err == nil {
			return
		}
		history, historyErr := w.History("gw")
		assert.True(t, historyErr != nil || len(history) == 0, "there is no release yet")
		require.NoError(t, w.Create(revision(1, large)), "after %d writes", n)
		_, err = w.Delete("gw", 1)
		require.NoError(t, err)
		assert.Empty(t, w.secrets())
	}
	require.Fail(t, "the creation never got through")
}
