// Package fakeapi is an API server in memory for unit tests of what writes objects: it gets, lists by label, creates,
// updates, deletes and applies with field ownership, and counts UIDs, resource versions and generations. It knows no
// schemas (lists are atomic), and has neither watches, validation, admission nor garbage collection.
package fakeapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured/unstructuredscheme"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Server is the API server; its methods are safe for concurrent use.
type Server struct {
	http   *httptest.Server
	mapper *meta.DefaultRESTMapper

	mu      sync.Mutex
	objects map[target]*unstructured.Unstructured
	counter int
	refuse  map[target]*apierrors.StatusError
	reject  map[target]*apierrors.StatusError
	writes  []string

	swap     map[target]*unstructured.Unstructured
	requests int
	cut      bool
	left     int  // writes until the connection is cut
	lost     bool // the answer to the last one is lost
}

// target is one object, or all of a resource in a namespace when name is empty.
type target struct {
	gvk             schema.GroupVersionKind
	namespace, name string
}

// New starts a server that ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{
		objects: map[target]*unstructured.Unstructured{}, refuse: map[target]*apierrors.StatusError{},
		reject: map[target]*apierrors.StatusError{}, swap: map[target]*unstructured.Unstructured{},
		mapper: meta.NewDefaultRESTMapper(nil),
	}
	for _, gvk := range []schema.GroupVersionKind{
		{Version: "v1", Kind: "ConfigMap"}, {Version: "v1", Kind: "Secret"}, {Version: "v1", Kind: "Service"},
		{Group: "apps", Version: "v1", Kind: "Deployment"}, {Group: "batch", Version: "v1", Kind: "Job"},
	} {
		s.mapper.Add(gvk, meta.RESTScopeNamespace)
	}
	for _, gvk := range []schema.GroupVersionKind{
		{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole"},
		{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"},
	} {
		s.mapper.Add(gvk, meta.RESTScopeRoot)
	}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.http.Close)
	return s
}

// Config is how to reach the server.
func (s *Server) Config() *rest.Config {
	return &rest.Config{
		Host:          s.http.URL,
		Transport:     s.http.Client().Transport, // its idle connections end with the server
		QPS:           -1,
		ContentConfig: rest.ContentConfig{ContentType: "application/json", AcceptContentTypes: "application/json"},
	}
}

// Mapper knows the server's kinds.
func (s *Server) Mapper() meta.RESTMapper { return s.mapper }

// Getter is how Helm's Kubernetes client reaches the server.
func (s *Server) Getter() genericclioptions.RESTClientGetter { return getter{s} }

type getter struct{ server *Server }

func (g getter) ToRESTConfig() (*rest.Config, error)         { return g.server.Config(), nil }
func (g getter) ToRESTMapper() (meta.RESTMapper, error)      { return g.server.mapper, nil }
func (getter) ToRawKubeConfigLoader() clientcmd.ClientConfig { return &clientcmd.DefaultClientConfig }

func (getter) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return nil, errors.New("the server answers no discovery")
}

// Get returns a copy of an object, nil when there is none.
func (s *Server) Get(gvk schema.GroupVersionKind, namespace, name string) *unstructured.Unstructured {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[target{gvk, namespace, name}].DeepCopy()
}

// List returns copies of the objects of a kind whose labels match.
func (s *Server) List(gvk schema.GroupVersionKind, namespace string, selector labels.Selector) []*unstructured.Unstructured {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*unstructured.Unstructured
	for k, live := range s.objects {
		if k.gvk == gvk && k.namespace == namespace && selector.Matches(labels.Set(live.GetLabels())) {
			out = append(out, live.DeepCopy())
		}
	}
	return out
}

// Put stores an object as somebody else would, with a new UID when it has none.
func (s *Server) Put(u *unstructured.Unstructured) *unstructured.Unstructured {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := target{u.GroupVersionKind(), u.GetNamespace(), u.GetName()}
	return s.store(k, s.objects[k], u.DeepCopy()).DeepCopy()
}

// Remove deletes an object as somebody else would.
func (s *Server) Remove(gvk schema.GroupVersionKind, namespace, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, target{gvk, namespace, name})
}

// Swap puts u in the place of the object of its name as soon as that was read once.
func (s *Server) Swap(u *unstructured.Unstructured) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.swap[target{u.GroupVersionKind(), u.GetNamespace(), u.GetName()}] = u.DeepCopy()
}

// Refuse makes every write to an object fail with err, dry run or not; nil ends it.
func (s *Server) Refuse(gvk schema.GroupVersionKind, namespace, name string, err *apierrors.StatusError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse[target{gvk, namespace, name}] = err
}

// Cut ends the connection after n more writes: every request fails from then on. With lost, the last write is done and
// its answer is lost.
func (s *Server) Cut(n int, lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut, s.left, s.lost = true, n, lost
}

// Mend ends Cut, and tells whether the connection was cut.
func (s *Server) Mend() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.cut && s.left == 0
	s.cut = false
	return was
}

// Requests counts what was asked of the server so far.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Reject is Refuse for writes that are no dry run, as by something that no dry run foresees.
func (s *Server) Reject(gvk schema.GroupVersionKind, namespace, name string, err *apierrors.StatusError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reject[target{gvk, namespace, name}] = err
}

// Writes lists what changed the store since the last call, as "<verb> <kind> <name>".
func (s *Server) Writes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.writes
	s.writes = nil
	return out
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	var (
		out any
		k   target
	)
	body, err := io.ReadAll(r.Body)
	if err == nil {
		k, err = s.target(r.URL.Path)
	}
	if err == nil {
		out, err = s.connected(func() (any, error) { return s.answer(r, k, body) })
	}
	code := http.StatusOK
	if err != nil {
		status := apierrors.NewInternalError(err)
		errors.As(err, &status)
		answer := status.Status()
		answer.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
		out, code = answer, int(answer.Code)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(out)
}

// connected answers unless the connection is cut.
func (s *Server) connected(answer func() (any, error)) (any, error) {
	if s.cut && s.left == 0 {
		return nil, errors.New("no connection")
	}
	before := len(s.writes)
	out, err := answer()
	if s.cut && len(s.writes) > before {
		if s.left--; s.left == 0 && s.lost {
			return nil, errors.New("connection lost")
		}
	}
	return out, err
}

// target reads /api/v1/namespaces/ns/configmaps/name and /apis/group/v1/clusterroles/name.
func (s *Server) target(path string) (target, error) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var gvr schema.GroupVersionResource
	switch {
	case len(parts) > 2 && parts[0] == "api":
		gvr.Version, parts = parts[1], parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		gvr.Group, gvr.Version, parts = parts[1], parts[2], parts[3:]
	default:
		return target{}, apierrors.NewNotFound(schema.GroupResource{}, path)
	}
	k := target{}
	if len(parts) > 2 && parts[0] == "namespaces" {
		k.namespace, parts = parts[1], parts[2:]
	}
	gvr.Resource = parts[0]
	if len(parts) > 1 {
		k.name = parts[1]
	}
	var err error
	k.gvk, err = s.mapper.KindFor(gvr)
	return k, err
}

func (s *Server) answer(r *http.Request, k target, body []byte) (any, error) {
	if r.Method == http.MethodGet {
		return s.read(r, k)
	}
	live := s.objects[k]
	dryRun := r.URL.Query().Get("dryRun") == metav1.DryRunAll
	if r.Method == http.MethodPatch && r.Header.Get("Content-Type") == string(types.JSONPatchType) {
		return s.removals(k, live, body)
	}
	sent := &unstructured.Unstructured{}
	if r.Method != http.MethodDelete {
		if err := sent.UnmarshalJSON(body); err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		k.name = sent.GetName()
		if s.mapperNamespaced(k.gvk) {
			sent.SetNamespace(k.namespace)
		}
	}
	if err := s.refuse[k]; err != nil {
		return nil, err
	}
	if err := s.reject[k]; err != nil && !dryRun {
		return nil, err
	}
	live = s.objects[k]
	switch {
	case r.Method == http.MethodPatch && r.Header.Get("Content-Type") == string(types.ApplyPatchType):
		return s.apply(k, live, sent, r.URL.Query(), dryRun)
	case r.Method == http.MethodPost && live != nil:
		return nil, apierrors.NewAlreadyExists(resource(k), k.name)
	case r.Method == http.MethodPost:
		return s.write("create", k, nil, sent, dryRun), nil
	case live == nil:
		return nil, apierrors.NewNotFound(resource(k), k.name)
	case r.Method == http.MethodPut:
		return s.write("update", k, live, sent, dryRun), nil
	case r.Method == http.MethodDelete:
		return s.delete(k, live, body)
	}
	return nil, apierrors.NewMethodNotSupported(resource(k), r.Method)
}

func (s *Server) mapperNamespaced(gvk schema.GroupVersionKind) bool {
	m, err := s.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	return err == nil && m.Scope.Name() == meta.RESTScopeNameNamespace
}

func resource(k target) schema.GroupResource {
	return schema.GroupResource{Group: k.gvk.Group, Resource: strings.ToLower(k.gvk.Kind) + "s"}
}

func (s *Server) read(r *http.Request, k target) (any, error) {
	if k.name != "" {
		if live := s.objects[k]; live != nil {
			if next := s.swap[k]; next != nil {
				delete(s.swap, k)
				s.store(k, nil, next)
			}
			return live, nil
		}
		return nil, apierrors.NewNotFound(resource(k), k.name)
	}
	selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	items := []any{}
	for other, live := range s.objects {
		if other.gvk == k.gvk && other.namespace == k.namespace && selector.Matches(labels.Set(live.GetLabels())) {
			items = append(items, live.Object)
		}
	}
	return map[string]any{"apiVersion": k.gvk.GroupVersion().String(), "kind": k.gvk.Kind + "List", "items": items}, nil
}

func (s *Server) delete(k target, live *unstructured.Unstructured, body []byte) (any, error) {
	opts := metav1.DeleteOptions{}
	if len(body) > 0 {
		if err := json.Unmarshal(body, &opts); err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
	}
	if p := opts.Preconditions; p != nil && p.UID != nil && *p.UID != live.GetUID() {
		return nil, apierrors.NewConflict(resource(k), k.name, fmt.Errorf("the UID in the precondition is not the object's"))
	}
	delete(s.objects, k)
	s.writes = append(s.writes, "delete "+k.gvk.Kind+" "+k.name)
	return metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess}, nil
}

func (s *Server) apply(k target, live, sent *unstructured.Unstructured, query url.Values, dryRun bool) (any, error) {
	before := live.DeepCopy()
	if live == nil {
		if sent.GetUID() != "" {
			return nil, apierrors.NewConflict(resource(k), k.name, fmt.Errorf("uid mismatch: no object was found"))
		}
		before = &unstructured.Unstructured{Object: map[string]any{}}
		before.SetGroupVersionKind(k.gvk)
		before.SetName(k.name)
		before.SetNamespace(k.namespace)
	} else if uid := sent.GetUID(); uid != "" && uid != live.GetUID() {
		return nil, apierrors.NewConflict(resource(k), k.name, fmt.Errorf("uid mismatch"))
	}
	fields, err := managedfields.NewDefaultCRDFieldManager(managedfields.NewDeducedTypeConverter(), same{}, same{},
		unstructuredscheme.NewUnstructuredCreator(), k.gvk, k.gvk.GroupVersion(), "", nil)
	if err != nil {
		return nil, err
	}
	out, err := fields.Apply(before, sent, query.Get("fieldManager"), query.Get("force") == "true")
	if err != nil {
		return nil, err
	}
	return s.write("apply", k, live, out.(*unstructured.Unstructured), dryRun), nil
}

// removals follows a JSON patch (RFC 6902) of the operations test and remove.
func (s *Server) removals(k target, live *unstructured.Unstructured, body []byte) (any, error) {
	var ops []struct {
		Op, Path string
		Value    any
	}
	if err := json.Unmarshal(body, &ops); err != nil || live == nil {
		return nil, apierrors.NewBadRequest("no patch, or nothing to patch")
	}
	next := live.DeepCopy()
	for _, op := range ops {
		steps := strings.Split(op.Path, "/")[1:]
		for i := range steps {
			steps[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(steps[i])
		}
		value, err := take(next.Object, steps, op.Op == "remove")
		if err != nil || op.Op == "test" && !reflect.DeepEqual(value, op.Value) {
			return nil, invalid(k, "cannot "+op.Op+" "+op.Path)
		}
	}
	return s.write("patch", k, live, next, false), nil
}

func invalid(k target, message string) error {
	return apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "patch", resource(k), k.name, message, 0, true)
}

// take returns the value at a path, and removes it from its map or list if asked to.
func take(node any, steps []string, remove bool) (any, error) {
	m, isMap := node.(map[string]any)
	if isMap && len(steps) == 1 {
		value, found := m[steps[0]]
		if !found {
			return nil, errors.New("not there")
		}
		if remove {
			delete(m, steps[0])
		}
		return value, nil
	}
	if isMap {
		if l, ok := m[steps[0]].([]any); ok && len(steps) == 2 {
			i, err := strconv.Atoi(steps[1])
			if err != nil || i < 0 || i >= len(l) {
				return nil, errors.New("not there")
			}
			value := l[i]
			if remove {
				m[steps[0]] = slices.Delete(l, i, i+1)
			}
			return value, nil
		}
		return take(m[steps[0]], steps[1:], remove)
	}
	l, isList := node.([]any)
	i, err := strconv.Atoi(steps[0])
	if !isList || err != nil || i < 0 || i >= len(l) {
		return nil, errors.New("not there")
	}
	return take(l[i], steps[1:], remove)
}

func (s *Server) write(verb string, k target, live, next *unstructured.Unstructured, dryRun bool) *unstructured.Unstructured {
	if live != nil && reflect.DeepEqual(live.Object, next.Object) {
		return live
	}
	if dryRun {
		return next
	}
	s.writes = append(s.writes, verb+" "+k.gvk.Kind+" "+k.name)
	return s.store(k, live, next)
}

func (s *Server) store(k target, live, next *unstructured.Unstructured) *unstructured.Unstructured {
	s.counter++
	if live != nil {
		next.SetUID(live.GetUID())
	} else if next.GetUID() == "" {
		next.SetUID(types.UID(fmt.Sprintf("uid-%d", s.counter)))
	}
	next.SetResourceVersion(fmt.Sprint(s.counter))
	if spec, ok := next.Object["spec"]; ok {
		switch {
		case live == nil:
			next.SetGeneration(1)
		case !reflect.DeepEqual(spec, live.Object["spec"]):
			next.SetGeneration(live.GetGeneration() + 1)
		}
	}
	s.objects[k] = next
	return next
}

// same converts and defaults nothing: each kind has one version here.
type same struct{}

func (same) Default(runtime.Object) {}

func (same) Convert(in, out, _ any) error {
	from, okFrom := in.(*unstructured.Unstructured)
	to, okTo := out.(*unstructured.Unstructured)
	if !okFrom || !okTo {
		return fmt.Errorf("cannot convert %T to %T", in, out)
	}
	to.Object = from.DeepCopy().Object
	return nil
}

func (same) ConvertToVersion(in runtime.Object, _ runtime.GroupVersioner) (runtime.Object, error) {
	return in, nil
}

func (same) ConvertFieldLabel(schema.GroupVersionKind, string, string) (string, string, error) {
	return "", "", fmt.Errorf("field labels are not supported")
}
