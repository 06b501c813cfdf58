package measure

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"golang.org/x/sync/errgroup"

	"github.com/datapower-operator/datapower-operator/test/bench/workload"
)

// writers is how many requests of the benchmark's user are under way at once.
const writers = 4

// services are the custom resources of one measurement, as their user sees them.
type services struct {
	n        int
	client   dynamic.Interface
	mu       sync.Mutex
	round    int
	deployed map[string]bool
	// behind is the status of one that was not deployed when it was last seen.
	behind  any
	changed chan struct{}
}

// newServices prepares the API server for n custom resources and watches them.
func newServices(ctx context.Context, cfg *rest.Config, crdDirectory string, n int) (*services, error) {
	_, err := envtest.InstallCRDs(cfg, envtest.CRDInstallOptions{
		CRDs: []*apiextensionsv1.CustomResourceDefinition{workload.Definition()}, Paths: []string{crdDirectory}, ErrorIfPathMissing: true,
	})
	if err != nil {
		return nil, fmt.Errorf("install CRDs: %w", err)
	}
	kube, err := client.New(cfg, client.Options{})
	if err != nil {
		return nil, fmt.Errorf("create client: %w", err)
	}
	for _, name := range workload.Namespaces(n) {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err := kube.Create(ctx, ns); err != nil && !apierrors.IsAlreadyExists(err) {
			return nil, fmt.Errorf("create namespace: %w", err)
		}
	}
	s := &services{n: n, deployed: map[string]bool{}, changed: make(chan struct{}, 1)}
	if s.client, err = dynamic.NewForConfig(cfg); err != nil {
		return nil, fmt.Errorf("create client: %w", err)
	}
	informer := dynamicinformer.NewDynamicSharedInformerFactory(s.client, 0).ForResource(workload.Resource).Informer()
	_, err = informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: s.see, UpdateFunc: func(_, obj any) { s.see(obj) },
	})
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	go informer.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil, ctx.Err()
	}
	return s, nil
}

func (s *services) see(obj any) {
	u, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !workload.Deployed(u, s.round) {
		delete(s.deployed, u.GetName())
		s.behind = u.Object["status"]
		return
	}
	s.deployed[u.GetName()] = true
	if len(s.deployed) == s.n {
		select {
		case s.changed <- struct{}{}:
		default:
		}
	}
}

// begin starts a round: nothing counts as deployed until it is seen so again.
func (s *services) begin(round int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.round = round
	clear(s.deployed)
	select {
	case <-s.changed:
	default:
	}
}

// allDeployed waits until all are deployed.
func (s *services) allDeployed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-s.changed:
		return nil
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		return fmt.Errorf("%d of %d are deployed, one has status %v: %w", len(s.deployed), s.n, s.behind, ctx.Err())
	}
}

func (s *services) each(ctx context.Context, do func(ctx context.Context, u *unstructured.Unstructured) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for i := range s.n {
		group.Go(func() error { return do(ctx, workload.New(i, s.round)) })
	}
	return group.Wait()
}

func (s *services) create(ctx context.Context) error {
	return s.each(ctx, func(ctx context.Context, u *unstructured.Unstructured) error {
		_, err := s.client.Resource(workload.Resource).Namespace(u.GetNamespace()).Create(ctx, u, metav1.CreateOptions{})
		return err
	})
}

// change makes every spec that of the round.
func (s *services) change(ctx context.Context) error {
	return s.each(ctx, func(ctx context.Context, u *unstructured.Unstructured) error {
		patch, err := (&unstructured.Unstructured{Object: map[string]any{
			"apiVersion": u.GetAPIVersion(), "kind": u.GetKind(), "spec": u.Object["spec"],
		}}).MarshalJSON()
		if err != nil {
			return err
		}
		return s.patch(ctx, u, patch)
	})
}

// touch gives every custom resource an annotation that means nothing.
func (s *services) touch(ctx context.Context) error {
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"bench.example/touched":%q}}}`, time.Now().Format(time.RFC3339Nano))
	return s.each(ctx, func(ctx context.Context, u *unstructured.Unstructured) error { return s.patch(ctx, u, patch) })
}

func (s *services) patch(ctx context.Context, u *unstructured.Unstructured, patch []byte) error {
	_, err := s.client.Resource(workload.Resource).Namespace(u.GetNamespace()).
		Patch(ctx, u.GetName(), types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}
