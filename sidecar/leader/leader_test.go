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
	"k8s.io/apimachinery/pkg/types"
	metadatafake "k8s.io/client-go/metadata/fake"
	clienttesting "k8s.io/client-go/testing"
	"pgregory.net/rapid"

	"github.com/datapower-operator/datapower-operator/sidecar/leader"
)

const patience = 90 * time.Second

// known are pods of which all is known.
func known(names ...string) (pods []leader.Pod) {
	for _, name := range names {
		pods = append(pods, leader.Pod{Name: name, UID: types.UID("uid-of-" + name)})
	}
	return pods
}

func TestDecide(t *testing.T) {
	own := known("own")[0]
	successor := leader.Pod{Name: "own", UID: "another"}
	for name, tc := range map[string]struct {
		own    leader.Pod
		marked []leader.Pod
		want   leader.Changes
	}{
		"nobody is marked: the own pod is":                    {own, nil, leader.Changes{Mark: true}},
		"the own pod is marked: nothing":                      {own, known("own"), leader.Changes{}},
		"another one is marked: it changes":                   {own, known("b"), leader.Changes{Unmark: known("b"), Mark: true}},
		"two are marked: the other one loses it":              {own, known("own", "b"), leader.Changes{Unmark: known("b")}},
		"three are marked: only the own keeps it":             {own, known("c", "own", "b"), leader.Changes{Unmark: known("b", "c")}},
		"one that came in the place of the own pod loses it":  {own, []leader.Pod{successor}, leader.Changes{Unmark: []leader.Pod{successor}, Mark: true}},
		"who does not know its UID takes the name for itself": {leader.Pod{Name: "own"}, []leader.Pod{successor}, leader.Changes{}},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, tc.want, leader.Decide(tc.own, tc.marked)) })
	}
}

func TestWhatDecideWantsLeavesTheOwnPodOnly(t *testing.T) {
	own := known("own")[0]
	rapid.Check(t, func(t *rapid.T) {
		marked := rapid.SliceOfDistinct(rapid.SampledFrom(known("own", "a", "b", "c")), rapid.ID[leader.Pod]).Draw(t, "marked")
		changes := leader.Decide(own, marked)
		left := slices.DeleteFunc(slices.Clone(marked), func(p leader.Pod) bool { return slices.Contains(changes.Unmark, p) })
		if changes.Mark {
			left = append(left, own)
		}
		if !slices.Equal(left, []leader.Pod{own}) {
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
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: known(name)[0].UID, Labels: map[string]string{leader.NameLabel: leader.Name}},
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
	options.Namespace, options.Pod, options.UID = "ns", "a", known("a")[0].UID
	options.Label, options.Log = leader.Label, testr.New(t)
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
		`b {"metadata":{"labels":{"leader":null},"uid":"uid-of-b"}}`, `c {"metadata":{"labels":{"leader":null},"uid":"uid-of-c"}}`,
		`a {"metadata":{"labels":{"leader":"true"},"uid":"uid-of-a"}}`,
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
