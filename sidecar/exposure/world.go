package exposure

import (
	"maps"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/datapower-operator/datapower-operator/api/oda"
)

// name identifies an object of a known kind.
type name = types.NamespacedName

// keyKindPod and kindComponent are, beside the kinds of APIs, the kinds of what is reconciled.
const keyKindPod = "Pod"

// world is what was observed. Each of its methods that records something returns whom it concerns.
type world struct {
	settings oda.Settings

	mu         sync.RWMutex
	apis       map[oda.Key]*resource
	router     *oda.Router
	services   map[name]*corev1.Service
	slices     map[name]map[string]bool // by Service, by slice: has a ready endpoint
	routes     map[name]*Route
	gateways   map[name]*Gateway
	monitors   map[name]string // UID of the controlling owner
	components map[name]*component
	pods       map[name]*pod

	byImplementation index[name, oda.Key]
	byGateway        index[name, oda.Key]
	byComponent      index[name, oda.Key]
	byLabel          index[string, name] // Services by the pairs of their selectors and labels
	podsIn           index[string, name] // by namespace
}

// index leads from one thing to many.
type index[K, V comparable] map[K]map[V]struct{}

func (i index[K, V]) add(k K, v V) {
	if i[k] == nil {
		i[k] = map[V]struct{}{}
	}
	i[k][v] = struct{}{}
}

func (i index[K, V]) remove(k K, v V) {
	delete(i[k], v)
	if len(i[k]) == 0 {
		delete(i, k)
	}
}

func (i index[K, V]) of(k K) []V { return slices.Collect(maps.Keys(i[k])) }

func newWorld(s oda.Settings) *world {
	return &world{
		settings: s, apis: map[oda.Key]*resource{}, router: oda.NewRouter(),
		services: map[name]*corev1.Service{}, slices: map[name]map[string]bool{}, routes: map[name]*Route{},
		gateways: map[name]*Gateway{}, monitors: map[name]string{}, components: map[name]*component{}, pods: map[name]*pod{},
		byImplementation: index[name, oda.Key]{}, byGateway: index[name, oda.Key]{}, byComponent: index[name, oda.Key]{},
		byLabel: index[string, name]{}, podsIn: index[string, name]{},
	}
}

func nameOf(o metav1.Object) name { return name{Namespace: o.GetNamespace(), Name: o.GetName()} }

func keyName(k oda.Key) name { return name{Namespace: k.Namespace, Name: k.Name} }

func (r *resource) implementation() name {
	return name{Namespace: r.Namespace, Name: r.Implementation}
}

func (r *resource) componentName() name { return name{Namespace: r.Namespace, Name: r.component} }

func (w *world) gatewayOf(api oda.API) name {
	gateway := oda.QualifiedGateway(w.settings.Gateway, api.Namespace)
	return parseName(gateway)
}

// setAPI records an API.
func (w *world) setAPI(u *unstructured.Unstructured) []oda.Key {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := readResource(u)
	before := w.apis[r.Key]
	w.dropAPI(before)
	w.apis[r.Key] = r
	w.byImplementation.add(r.implementation(), r.Key)
	w.byGateway.add(w.gatewayOf(r.API), r.Key)
	w.byComponent.add(r.componentName(), r.Key)
	var concerned []oda.Key
	if before == nil || before.component != r.component || tell(before.status) != tell(r.status) {
		concerned = append(concerned, w.componentsOf(before, r)...)
	}
	if before == nil || changedForPods(before.API, r.API) {
		concerned = append(concerned, w.podsOf(r.implementation())...)
		if before != nil {
			concerned = append(concerned, w.podsOf(before.implementation())...)
		}
	}
	concerned = append(concerned, w.router.Set(w.settings.ClaimOf(r.API))...)
	return append(apisOnly(concerned), r.Key)
}

// changedForPods tells whether the annotations of pods depend on a change.
func changedForPods(a, b oda.API) bool {
	return a.Implementation != b.Implementation || a.Path != b.Path || a.Port != b.Port || a.Type != b.Type
}

// deleteAPI forgets an API.
func (w *world) deleteAPI(key oda.Key) []oda.Key {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.apis[key]
	w.dropAPI(before)
	concerned := w.componentsOf(before)
	if before != nil {
		concerned = append(concerned, w.podsOf(before.implementation())...)
	}
	return apisOnly(append(concerned, w.router.Delete(key)...))
}

// dropAPI takes an API out of the indexes; nil is none.
func (w *world) dropAPI(r *resource) {
	if r == nil {
		return
	}
	delete(w.apis, r.Key)
	w.byImplementation.remove(r.implementation(), r.Key)
	w.byGateway.remove(w.gatewayOf(r.API), r.Key)
	w.byComponent.remove(r.componentName(), r.Key)
}

// componentsOf are the Components of APIs, some of which may be nil.
func (w *world) componentsOf(apis ...*resource) []oda.Key {
	var keys []oda.Key
	for _, r := range apis {
		if r != nil && r.component != "" {
			keys = append(keys, componentKey(r.componentName()))
		}
	}
	return keys
}

// apisOnly leaves out claims that are not reconciled: those of foreign VirtualServices.
func apisOnly(keys []oda.Key) []oda.Key {
	return slices.DeleteFunc(keys, func(k oda.Key) bool { return k.Kind == oda.KindVirtualService })
}

func componentKey(n name) oda.Key {
	return oda.Key{Kind: kindComponent, Namespace: n.Namespace, Name: n.Name}
}

// setRoute records a VirtualService; nil forgets it.
func (w *world) setRoute(n name, u *unstructured.Unstructured) []oda.Key {
	w.mu.Lock()
	defer w.mu.Unlock()
	var concerned []oda.Key
	if u == nil {
		delete(w.routes, n)
		concerned = w.router.Delete(oda.Key{Kind: oda.KindVirtualService, Namespace: n.Namespace, Name: n.Name})
	} else {
		w.routes[n] = readRoute(u)
		concerned = w.router.Set(oda.ClaimOfVirtualService(u))
	}
	return apisOnly(append(concerned, w.named(n)...))
}

// named are the APIs of a name, of all kinds.
func (w *world) named(n name) []oda.Key {
	var keys []oda.Key
	for _, kind := range apiKinds {
		if key := (oda.Key{Kind: kind, Namespace: n.Namespace, Name: n.Name}); w.apis[key] != nil {
			keys = append(keys, key)
		}
	}
	return keys
}

// setMonitor records a ServiceMonitor; nil forgets it.
func (w *world) setMonitor(n name, m *metav1.PartialObjectMetadata) []oda.Key {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.monitors, n)
	if m != nil {
		w.monitors[n] = ""
		if owner := metav1.GetControllerOf(m); owner != nil {
			w.monitors[n] = string(owner.UID)
		}
	}
	return w.named(n)
}

// setGateway records an Istio Gateway; nil forgets it.
func (w *world) setGateway(n name, u *unstructured.Unstructured) []oda.Key {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.gateways, n)
	if u != nil {
		w.gateways[n] = ReadGateway(u)
	}
	return w.byGateway.of(n)
}

// setService records a Service; nil forgets it.
func (w *world) setService(n name, s *corev1.Service) []oda.Key {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.services[n]
	if before != nil && s != nil && sameService(before, s) {
		return nil
	}
	concerned := w.byImplementation.of(n)
	if len(concerned) > 0 {
		concerned = append(concerned, w.podsOf(n)...)
	}
	concerned = append(concerned, w.behind(before)...)
	if before != nil {
		for _, pair := range pairs(before) {
			w.byLabel.remove(pair, n)
		}
		delete(w.services, n)
	}
	if s == nil {
		return concerned
	}
	w.services[n] = s
	for _, pair := range pairs(s) {
		w.byLabel.add(pair, n)
	}
	if len(w.byImplementation[n]) > 0 {
		concerned = append(concerned, w.podsOf(n)...)
	}
	return append(concerned, w.behind(s)...)
}

func sameService(a, b *corev1.Service) bool {
	return equality.Semantic.DeepEqual(a.Labels, b.Labels) && equality.Semantic.DeepEqual(a.Spec, b.Spec) &&
		equality.Semantic.DeepEqual(a.Status.LoadBalancer, b.Status.LoadBalancer)
}

// pairs are the labels of a Service and of what it selects.
func pairs(s *corev1.Service) []string {
	var out []string
	for _, set := range []map[string]string{s.Labels, s.Spec.Selector} {
		for key, value := range set {
			out = append(out, key+"="+value)
		}
	}
	return out
}

// behind are the APIs on gateways that a Service may lead to.
func (w *world) behind(s *corev1.Service) []oda.Key {
	if s == nil {
		return nil
	}
	var keys []oda.Key
	for gateway := range w.byGateway {
		if inFront(w.gateways[gateway], s) > 0 || s.Labels[ingressLabel] == ingressValue {
			keys = append(keys, w.byGateway.of(gateway)...)
		}
	}
	return keys
}

// front are the Services that lead to a gateway.
func (w *world) front(g *Gateway) []*corev1.Service {
	pair := ingressLabel + "=" + ingressValue
	candidates := w.byLabel.of(pair)
	if g != nil {
		for key, value := range g.Selector {
			candidates = append(candidates, w.byLabel.of(key+"="+value)...)
			break // all pairs must be there, so one leads to all that have them
		}
	}
	seen := map[name]bool{}
	var services []*corev1.Service
	for _, n := range candidates {
		if !seen[n] {
			seen[n] = true
			services = append(services, w.services[n])
		}
	}
	return FrontServices(g, services)
}

// setSlice records an EndpointSlice.
func (w *world) setSlice(s *discoveryv1.EndpointSlice) []oda.Key {
	return w.recordSlice(s, true)
}

// deleteSlice forgets an EndpointSlice.
func (w *world) deleteSlice(s *discoveryv1.EndpointSlice) []oda.Key {
	return w.recordSlice(s, false)
}

func (w *world) recordSlice(s *discoveryv1.EndpointSlice, exists bool) []oda.Key {
	w.mu.Lock()
	defer w.mu.Unlock()
	service := name{Namespace: s.Namespace, Name: s.Labels[discoveryv1.LabelServiceName]}
	before := w.readyEndpoint(service)
	if exists {
		if w.slices[service] == nil {
			w.slices[service] = map[string]bool{}
		}
		w.slices[service][s.Name] = anyReady(s)
	} else {
		delete(w.slices[service], s.Name)
		if len(w.slices[service]) == 0 {
			delete(w.slices, service)
		}
	}
	if before == w.readyEndpoint(service) {
		return nil
	}
	return w.byImplementation.of(service)
}

func (w *world) readyEndpoint(service name) bool {
	for _, ready := range w.slices[service] {
		if ready {
			return true
		}
	}
	return false
}

// setComponent records a Component; nil forgets it.
func (w *world) setComponent(n name, u *unstructured.Unstructured) []oda.Key {
	w.mu.Lock()
	defer w.mu.Unlock()
	if u == nil {
		delete(w.components, n)
		return nil
	}
	w.components[n] = readComponent(u)
	return []oda.Key{componentKey(n)}
}

// setPod records a pod; nil forgets it.
func (w *world) setPod(n name, p *corev1.Pod) []oda.Key {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p == nil {
		delete(w.pods, n)
		w.podsIn.remove(n.Namespace, n)
		return nil
	}
	w.pods[n] = readPod(p)
	w.podsIn.add(n.Namespace, n)
	return []oda.Key{podKey(n)}
}

func podKey(n name) oda.Key {
	return oda.Key{Kind: keyKindPod, Namespace: n.Namespace, Name: n.Name}
}

// podsOf are the pods that a Service selects, and those that carry annotations of ours, which may be due no longer.
func (w *world) podsOf(service name) []oda.Key {
	s := w.services[service]
	var keys []oda.Key
	for n := range w.podsIn[service.Namespace] {
		if p := w.pods[n]; len(p.owned) > 0 || selects(s, p) {
			keys = append(keys, podKey(n))
		}
	}
	return keys
}

func selects(s *corev1.Service, p *pod) bool {
	return s != nil && len(s.Spec.Selector) > 0 && labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(p.labels))
}

// all are all APIs.
func (w *world) all() []oda.Key {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return slices.Collect(maps.Keys(w.apis))
}

// observe gathers what [Compute] looks at, except what kinds are served and the time; false when there is no such API.
func (w *world) observe(key oda.Key) (Input, *resource, bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	r := w.apis[key]
	if r == nil || r.deleting {
		return Input{}, nil, false
	}
	in := Input{
		API: r.API, SpecError: r.specError, Current: r.status, Settings: w.settings, HelmFailure: r.helmFailure,
		Route: w.routes[keyName(key)], Gateway: w.gateways[w.gatewayOf(r.API)],
		Service: w.services[r.implementation()], ReadyEndpoint: w.readyEndpoint(r.implementation()),
	}
	in.Front = w.front(in.Gateway)
	if owner, exists := w.monitors[keyName(key)]; exists {
		in.Monitor = owner == string(r.UID)
	}
	if c, lost := w.router.Conflict(key); lost {
		in.Conflict = &c
	}
	return in, r, true
}

// tells is what a Component is to be told of its APIs; nil when it is not known.
func (w *world) tells(n name) (*component, map[string]told) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	c := w.components[n]
	if c == nil {
		return nil, nil
	}
	byUID := map[string]told{}
	for key := range w.byComponent[n] {
		r := w.apis[key]
		if r.status.APIStatus != nil || r.status.Ready != nil {
			byUID[string(r.UID)] = tell(r.status)
		}
	}
	return c, byUID
}

// due is what is to be annotated on a pod; nil pod when there is no such pod.
func (w *world) due(n name) (*pod, map[string]string) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	p := w.pods[n]
	if p == nil || p.over {
		return nil, nil
	}
	var apis []oda.API
	for _, r := range w.apis {
		if r.Namespace == n.Namespace && !r.deleting && oda.Metrics(r.Type) && !r.External() &&
			r.specError == "" && selects(w.services[r.implementation()], p) {
			apis = append(apis, r.API)
		}
	}
	return p, Annotations(w.settings.Metrics, apis, p.container)
}

// everything is all that can be reconciled.
func (w *world) everything() []oda.Key {
	keys := w.all()
	w.mu.RLock()
	defer w.mu.RUnlock()
	for n := range w.components {
		keys = append(keys, componentKey(n))
	}
	for n := range w.pods {
		keys = append(keys, podKey(n))
	}
	return keys
}

// any tells whether there is an API.
func (w *world) any() bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return len(w.apis) > 0
}

// forgetAPIs forgets all APIs of a kind.
func (w *world) forgetAPIs(kind string) []oda.Key {
	var concerned []oda.Key
	for _, key := range w.all() {
		if key.Kind == kind {
			concerned = append(concerned, w.deleteAPI(key)...)
		}
	}
	return concerned
}

// forgetAll forgets each object of a map of the world.
func forgetAll[V any](w *world, from map[name]V, forget func(name) []oda.Key) []oda.Key {
	w.mu.RLock()
	names := slices.Collect(maps.Keys(from))
	w.mu.RUnlock()
	var concerned []oda.Key
	for _, n := range names {
		concerned = append(concerned, forget(n)...)
	}
	return concerned
}

// parseName reads "namespace/name".
func parseName(text string) name {
	namespace, bare, _ := strings.Cut(text, "/")
	return name{Namespace: namespace, Name: bare}
}
