package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"helm.sh/helm/v3/pkg/chartutil"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"

	"github.com/datapower-operator/datapower-operator/helm-operator/action"
	"github.com/datapower-operator/datapower-operator/helm-operator/chart"
	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
	"github.com/datapower-operator/datapower-operator/helm-operator/render"
	"github.com/datapower-operator/datapower-operator/test/bench/workload"
)

// placeholder stands for the owner's UID in the floor's templates.
const placeholder = "00000000-0000-0000-0000-000000000000"

// floor is the least that deploying can cost: it applies objects that were rendered beforehand and
// writes one status. It keeps no release, checks nothing and repairs nothing.
type floor struct {
	client    dynamic.Interface
	templates []template
	queue     workqueue.TypedInterface[*unstructured.Unstructured]
	done      atomic.Int64
	// failure is the first error of a worker.
	failure chan error
}

// template is one object as JSON, with the names of custom resource 0 in round 0.
type template struct {
	resource schema.GroupVersionResource
	name     string
	body     string
}

func newFloor(cfg *rest.Config, chartPath string) (running, error) {
	f := &floor{queue: workqueue.NewTyped[*unstructured.Unstructured](), failure: make(chan error, 1)}
	var err error
	if f.client, err = dynamic.NewForConfig(cfg); err != nil {
		return nil, fmt.Errorf("create client: %w", err)
	}
	dc, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("create discovery client: %w", err)
	}
	groups, err := restmapper.GetAPIGroupResources(dc)
	if err != nil {
		return nil, fmt.Errorf("discover: %w", err)
	}
	capabilities, err := action.NewCapabilities(dc, clock.RealClock{}).Get()
	if err != nil {
		return nil, err
	}
	f.templates, err = templates(chartPath, restmapper.NewDiscoveryRESTMapper(groups), capabilities)
	return f, err
}

func templates(chartPath string, mapper meta.RESTMapper, capabilities *chartutil.Capabilities) ([]template, error) {
	src, err := chart.Load(chartPath)
	if err != nil {
		return nil, err
	}
	cr := workload.New(0, 0)
	values, _, err := unstructured.NestedMap(cr.Object, "spec")
	if err != nil {
		return nil, err
	}
	result, err := render.Render(render.Request{
		Chart: src.Copy(), Values: values, Capabilities: capabilities,
		Release: chartutil.ReleaseOptions{Name: cr.GetName(), Namespace: cr.GetNamespace(), Revision: 1, IsInstall: true},
	})
	if err != nil {
		return nil, err
	}
	objects, err := inventory.Parse(result.Manifest)
	if err != nil {
		return nil, err
	}
	out := make([]template, 0, len(objects))
	for _, u := range objects {
		mapping, err := mapper.RESTMapping(u.GroupVersionKind().GroupKind(), u.GroupVersionKind().Version)
		if err != nil {
			return nil, fmt.Errorf("find kind %s: %w", u.GetKind(), err)
		}
		u.SetNamespace(cr.GetNamespace())
		owner := metav1.NewControllerRef(cr, workload.Kind)
		owner.UID = placeholder
		u.SetOwnerReferences([]metav1.OwnerReference{*owner})
		body, err := u.MarshalJSON()
		if err != nil {
			return nil, err
		}
		out = append(out, template{resource: mapping.Resource, name: u.GetName(), body: string(body)})
	}
	return out, nil
}

// run implements running.
func (f *floor) run(ctx context.Context, ready func()) error {
	informer := dynamicinformer.NewDynamicSharedInformerFactory(f.client, 0).ForResource(workload.Resource).Informer()
	add := func(obj any) {
		if u, ok := obj.(*unstructured.Unstructured); ok {
			f.queue.Add(u)
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: add, UpdateFunc: func(before, after any) {
		old, ok := before.(*unstructured.Unstructured)
		if u, isCR := after.(*unstructured.Unstructured); ok && isCR && u.GetGeneration() != old.GetGeneration() {
			add(u)
		}
	}})
	if err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	go informer.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return ctx.Err()
	}
	var workers sync.WaitGroup
	for range runtime.NumCPU() {
		workers.Go(func() { f.work(ctx) })
	}
	ready()
	select {
	case <-ctx.Done():
	case err = <-f.failure:
	}
	f.queue.ShutDown()
	workers.Wait()
	return err
}

func (f *floor) work(ctx context.Context) {
	for {
		cr, stop := f.queue.Get()
		if stop {
			return
		}
		if err := f.deploy(ctx, cr); err != nil {
			select {
			case f.failure <- err:
			default:
			}
		}
		f.done.Add(1)
		f.queue.Done(cr)
	}
}

func (f *floor) deploy(ctx context.Context, cr *unstructured.Unstructured) error {
	round, err := roundOf(cr)
	if err != nil {
		return err
	}
	first := workload.New(0, 0)
	actual := strings.NewReplacer(first.GetName(), cr.GetName(), first.GetNamespace(), cr.GetNamespace(),
		workload.Round(0), round, placeholder, string(cr.GetUID()))
	options := metav1.PatchOptions{FieldManager: "floor", Force: new(true)}
	for _, t := range f.templates {
		_, err := f.client.Resource(t.resource).Namespace(cr.GetNamespace()).
			Patch(ctx, actual.Replace(t.name), types.ApplyPatchType, []byte(actual.Replace(t.body)), options)
		if err != nil {
			return fmt.Errorf("apply: %w", err)
		}
	}
	status, err := json.Marshal(map[string]any{
		"apiVersion": cr.GetAPIVersion(), "kind": cr.GetKind(), "metadata": map[string]any{"name": cr.GetName()},
		"status": map[string]any{
			"observedGeneration": cr.GetGeneration(),
			"conditions":         []any{map[string]any{"type": "Deployed", "status": "True"}},
		},
	})
	if err != nil {
		return err
	}
	_, err = f.client.Resource(workload.Resource).Namespace(cr.GetNamespace()).
		Patch(ctx, cr.GetName(), types.ApplyPatchType, status, options, "status")
	if err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}

// roundOf reads the round from the environment variables in the spec.
func roundOf(cr *unstructured.Unstructured) (string, error) {
	env, _, err := unstructured.NestedSlice(cr.Object, "spec", "env")
	if err != nil {
		return "", err
	}
	for _, e := range env {
		if e, ok := e.(map[string]any); ok && e["name"] == "ROUND" {
			return fmt.Sprint(e["value"]), nil
		}
	}
	return "", fmt.Errorf("resource %s has no round", cr.GetName())
}

func (f *floor) reconciles() (int, error) { return int(f.done.Load()), nil }
