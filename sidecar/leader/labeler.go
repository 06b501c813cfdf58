package leader

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"
)

// Labels, whose value is "true" on one pod and which are absent on all others. The programs of a pod have a Lease each,
// which replicas in different pods may hold, so that one label could not tell both.
const (
	// Label marks the pod whose sidecar leads.
	Label = "leader"
	// HelmOperatorLabel marks the pod whose helm-operator leads.
	HelmOperatorLabel = "helm-operator-leader"
	marked            = "true"
)

// NameLabel and Name are a label of all pods of the operator: no other pod is looked at.
const (
	NameLabel = "app.kubernetes.io/name"
	Name      = "datapower-operator"
)

// fieldManager is who changes the label.
const fieldManager = "datapower-leader"

const (
	// unmarkTimeout bounds what a leader that ends does: the Lease waits for it.
	unmarkTimeout = 5 * time.Second
	firstRetry    = 500 * time.Millisecond
	lastRetry     = 30 * time.Second
)

var podResource = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

// NewFailures counts failures to mark the leader's pod.
func NewFailures() prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{
		Name: "datapower_operator_leader_label_failures_total",
		Help: "Failed writes of the label that marks the leader's pod. While it fails, Services that select the leader have no endpoint or a wrong one.",
	})
}

// Options of [New].
type Options struct {
	// Client reads and writes the metadata of pods.
	Client metadata.Interface
	// Namespace and Pod are the program's own pod, and UID is that pod's. Empty, a pod that came in its place is marked, too.
	Namespace, Pod string
	UID            types.UID
	// Label is the one to wear.
	Label string
	// Failures counts.
	Failures prometheus.Counter
	Log      logr.Logger
}

// Labeler is a runnable of a manager that runs while its program leads.
type Labeler struct {
	Options
	pods metadata.ResourceInterface
	wake chan struct{}
}

// New makes a Labeler.
func New(o Options) *Labeler {
	return &Labeler{Options: o, pods: o.Client.Resource(podResource).Namespace(o.Namespace), wake: make(chan struct{}, 1)}
}

// NeedLeaderElection says that it runs on the leader only.
func (l *Labeler) NeedLeaderElection() bool { return true }

// Start marks the own pod, and no other, until ctx ends. What fails is tried again; it never ends the program.
func (l *Labeler) Start(ctx context.Context) error {
	informer := cache.NewSharedInformer(l.marked(), &metav1.PartialObjectMetadata{}, 0)
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { l.poke() }, DeleteFunc: func(any) { l.poke() },
	})
	if err != nil {
		return fmt.Errorf("watching the leader's label: %w", err)
	}
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		informer.RunWithContext(ctx)
	}()
	defer func() { <-watching }()
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil
	}
	defer l.resign()
	l.keep(ctx, informer.GetStore())
	return nil
}

// keep looks after each change of the label, and again after a failure.
func (l *Labeler) keep(ctx context.Context, store cache.Store) {
	retries := wait.Backoff{Duration: firstRetry, Factor: 2, Cap: lastRetry, Steps: math.MaxInt}
	backoff := retries
	l.poke()
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		case <-again:
		}
		if err := l.step(ctx, store); err != nil && ctx.Err() == nil {
			l.Failures.Inc()
			l.Log.Error(err, "cannot mark the leader's pod; trying again", "label", l.Label)
			again = time.After(backoff.Step())
			continue
		}
		again, backoff = nil, retries
	}
}

func (l *Labeler) step(ctx context.Context, store cache.Store) error {
	var wearing []Pod
	for _, object := range store.List() {
		if pod, ok := object.(*metav1.PartialObjectMetadata); ok {
			wearing = append(wearing, Pod{pod.Name, pod.UID})
		}
	}
	changes := Decide(l.own(), wearing)
	for _, pod := range changes.Unmark {
		if err := l.write(ctx, pod, nil); err != nil {
			return err
		}
	}
	if !changes.Mark {
		return nil
	}
	return l.write(ctx, l.own(), marked)
}

func (l *Labeler) own() Pod { return Pod{l.Pod, l.UID} }

// resign takes the label off when the program stops leading in good order.
func (l *Labeler) resign() {
	ctx, cancel := context.WithTimeout(context.Background(), unmarkTimeout)
	defer cancel()
	if err := l.write(ctx, l.own(), nil); err != nil {
		l.Failures.Inc()
		l.Log.Error(err, "cannot take the label off the pod; the next leader will", "label", l.Label)
	}
}

// write sets the label of a pod; nil takes it off, and then a pod that is gone is as good. The UID in the patch keeps it off
// another pod that came in the place of the one that is meant: the API server refuses to change it.
func (l *Labeler) write(ctx context.Context, pod Pod, value any) error {
	meta := map[string]any{"labels": map[string]any{l.Label: value}}
	if pod.UID != "" {
		meta["uid"] = pod.UID
	}
	patch, err := json.Marshal(map[string]any{"metadata": meta})
	if err != nil {
		return fmt.Errorf("encoding the label of pod %s: %w", pod.Name, err)
	}
	_, err = l.pods.Patch(ctx, pod.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
	if value == nil && gone(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("writing label %s of pod %s: %w", l.Label, pod.Name, err)
	}
	return nil
}

// gone tells whether a patch failed because its pod is not there, or another of its name.
func gone(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsInvalid(err) || apierrors.IsConflict(err)
}

func (l *Labeler) poke() {
	select {
	case l.wake <- struct{}{}:
	default: // a look is due already
	}
}

// listed is a list and a watch without streaming the list: it has one or two pods.
type listed struct{ *cache.ListWatch }

// IsWatchListSemanticsUnSupported tells client-go's reflector.
func (listed) IsWatchListSemanticsUnSupported() bool { return true }

// marked lists and watches the operator's pods that wear the label.
func (l *Labeler) marked() cache.ListerWatcher {
	selector := labels.SelectorFromSet(labels.Set{NameLabel: Name, l.Label: marked}).String()
	return listed{&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.LabelSelector = selector
			return l.pods.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.LabelSelector = selector
			return l.pods.Watch(ctx, options)
		},
	}}
}
