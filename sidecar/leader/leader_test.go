package leader_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"
	"pgregory.net/rapid"

	"github.com/datapower-operator/datapower-operator/sidecar/leader"
)

const patience = 90 * time.Second

func TestDecide(t *testing.T) {
	for name, tc := range map[string]struct {
		marked []string
		want   leader.Changes
	}{
		"nobody is marked: the own pod is":        {nil, leader.Changes{Mark: true}},
		"the own pod is marked: nothing":          {[]string{"own"}, leader.Changes{}},
		"another one is marked: it changes":       {[]string{"b"}, leader.Changes{Unmark: []string{"b"}, Mark: true}},
		"two are marked: the other one loses it":  {[]string{"own", "b"}, leader.Changes{Unmark: []string{"b"}}},
		"three are marked: only the own keeps it": {[]string{"c", "own", "b"}, leader.Changes{Unmark: []string{"b", "c"}}},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, tc.want, leader.Decide("own", tc.marked)) })
	}
}

func TestWhatDecideWantsLeavesTheOwnPodOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		marked := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"own", "a", "b", "c"}), rapid.ID[string]).Draw(t, "marked")
		changes := leader.Decide("own", marked)
		left := slices.DeleteFunc(slices.Clone(marked), func(p string) bool { return slices.Contains(changes.Unmark, p) })
		if changes.Mark {
			left = append(left, "own")
		}
		if !slices.Equal(left, []string{"own"}) {
			t.Fatalf("marked are %v", left)
		}
	})
}

// cluster is an API server with pods.
func cluster(t *testing.T, pods ...*metav1.PartialObjectMetadata) *metadatafake.FakeMetadataClient {
	t.Helper()
	scheme := runtime.NewScheme()
	require.NoError(t, metav1.AddMetaToScheme(scheme))
	var objects []runtime.Object
	for _, p := range pods {
		objects = append(objects, p)
	}
	return metadatafake.NewSimpleMetadataClient(scheme, objects...)
}

func pod(name string, marked bool) *metav1.PartialObjectMetadata {
	p := &metav1.PartialObjectMetadata{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, Labels: map[string]string{leader.NameLabel: leader.Name}},
	}
	if marked {
		p.Labels[leader.Label] = "true"
	}
	return p
}

func marked(t *testing.T, client *metadatafake.FakeMetadataClient) []string {
	t.Helper()
	list, err := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace("ns").
		List(context.Background(), metav1.ListOptions{LabelSelector: leader.Label + "=true"})
	require.NoError(t, err)
	names := []string{}
	for _, p := range list.Items {
		names = append(names, p.Name)
	}
	return names
}

// lead runs a labeler of pod a until the returned function is called.
func lead(t *testing.T, options leader.Options) (resign func()) {
	t.Helper()
	options.Namespace, options.Pod, options.Label, options.Log = "ns", "a", leader.Label, testr.New(t)
	if options.Failures == nil {
		options.Failures = leader.NewFailures()
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- leader.New(options).Start(ctx) }()
	return func() {
		cancel()
		require.NoError(t, <-done)
	}
}

func TestTheLeaderTakesTheLabelAndGivesItBack(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent(), goleak.IgnoreAnyFunction("k8s.io/apimachinery/pkg/watch.(*filteredWatch).loop"))
	client := cluster(t, pod("a", false), pod("b", true))
	resign := lead(t, leader.Options{Client: client})
	require.Eventually(t, func() bool { return slices.Equal(marked(t, client), []string{"a"}) }, patience, time.Millisecond)
	resign()
	assert.Empty(t, marked(t, client), "the next leader finds no other")
}

func TestNobodyElseWearsTheLabelWhenTheLeaderTakesIt(t *testing.T) {
	client := cluster(t, pod("a", false), pod("b", true), pod("c", true))
	var mutex sync.Mutex
	var written []string
	client.PrependReactor("patch", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if patch, ok := action.(clienttesting.PatchAction); ok {
			mutex.Lock()
			defer mutex.Unlock()
			written = append(written, patch.GetName()+" "+string(patch.GetPatch()))
		}
		return false, nil, nil
	})
	resign := lead(t, leader.Options{Client: client})
	require.Eventually(t, func() bool { return slices.Equal(marked(t, client), []string{"a"}) }, patience, time.Millisecond)
	resign()
	mutex.Lock()
	defer mutex.Unlock()
	require.GreaterOrEqual(t, len(written), 3)
	assert.Equal(t, []string{
		`b {"metadata":{"labels":{"leader":null}}}`, `c {"metadata":{"labels":{"leader":null}}}`, `a {"metadata":{"labels":{"leader":"true"}}}`,
	}, written[:3])
}

func TestAFailureIsCountedAndTriedAgain(t *testing.T) {
	client := cluster(t, pod("a", false), pod("b", true))
	var refusals atomic.Int32
	client.PrependReactor("patch", "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
		if refusals.Add(1) <= 2 {
			return true, nil, errors.New("the API server is away")
		}
		return false, nil, nil
	})
	failures := leader.NewFailures()
	resign := lead(t, leader.Options{Client: client, Failures: failures})
	require.Eventually(t, func() bool { return slices.Equal(marked(t, client), []string{"a"}) }, patience, 10*time.Millisecond)
	resign()
	assert.InDelta(t, 2, testutil.ToFloat64(failures), 0)
}
