package monitor_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/test/gateway"
	"github.com/datapower-operator/datapower-operator/test/gateway/fleettest"
)

const name = "gw"

// service is a DataPowerService with peering, alone in its namespace.
type service struct {
	*world
	namespace string
	debounce  time.Duration

	mutex    sync.Mutex
	statuses []v1beta2.DataPowerMonitorStatus
	arrivals []time.Time
}

// newService makes a service and the monitor that its user made first, and waits until its gateways have linked.
func (w *world) newService(namespace string, replicas int32, debounce time.Duration) *service {
	w.Helper()
	s := w.declare(namespace, replicas, debounce)
	fleettest.WaitHealed(w, w.fleet, namespace, name, int(replicas), patience)
	return s
}

// declare makes the objects of a service.
func (w *world) declare(namespace string, replicas int32, debounce time.Duration) *service {
	w.Helper()
	s := &service{world: w, namespace: namespace, debounce: debounce}
	for _, object := range objects(namespace, replicas, debounce, w.certificate()) {
		require.NoError(w, w.kube.Create(w.Context(), object), "%T", object)
	}
	return s
}

// objects are a namespace, what a service with two peerings needs, its monitor and the service.
func objects(namespace string, replicas int32, debounce time.Duration, certificate []byte) []client.Object {
	in := metav1.ObjectMeta{Namespace: namespace}
	named := func(name string) metav1.ObjectMeta { m := in; m.Name = name; return m }
	return []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		&corev1.Secret{ObjectMeta: named("admin-credentials"), StringData: map[string]string{"password": "hunter2 is secret"}},
		&corev1.Secret{ObjectMeta: named("certificates"), Data: map[string][]byte{"tls.crt": certificate}},
		&corev1.ConfigMap{ObjectMeta: named("web"), Data: map[string]string{
			"web.cfg": "rest-mgmt\n  admin-state enabled\n  local-address 0.0.0.0 5554\nexit\n"}},
		&corev1.ConfigMap{ObjectMeta: named("peering"), Data: map[string]string{
			"peering.cfg": "gateway-peering \"gwd\"\n  local-port 16380\nexit\ngateway-peering \"tms\"\n  local-port 16381\nexit\n"}},
		&v1beta2.DataPowerMonitor{ObjectMeta: named(name), Spec: v1beta2.DataPowerMonitorSpec{
			LifecycleDebounceMs: new(int32(debounce.Milliseconds())), MonitorGatewayPeering: new(true),
			RestManagement: &v1beta2.RestManagement{TLS: &v1beta2.GatewayTLS{SecretName: "certificates"}},
		}},
		&v1beta3.DataPowerService{ObjectMeta: named(name), Spec: v1beta3.DataPowerServiceSpec{
			Replicas: new(replicas), Version: "10.6-lts",
			License: v1beta3.License{Accept: true, License: "L-BMSF-5YDSLR", Use: v1beta3.LicenseUseNonproduction},
			Users:   []v1beta3.User{{Name: "admin", PasswordSecret: "admin-credentials", AccessLevel: "privileged"}},
			Domains: []v1beta3.Domain{
				{Name: "default", DPApp: &v1beta3.DPApp{Config: []string{"web"}}},
				{Name: "apiconnect", DPApp: &v1beta3.DPApp{Config: []string{"peering"}}},
			},
		}},
	}
}

func (s *service) monitor() *v1beta2.DataPowerMonitor {
	s.Helper()
	monitor := &v1beta2.DataPowerMonitor{}
	require.NoError(s, s.kube.Get(s.Context(), client.ObjectKey{Namespace: s.namespace, Name: name}, monitor))
	return monitor
}

// health is the condition PeeringHealthy.
func (s *service) health() metav1.Condition {
	s.Helper()
	if found := meta.FindStatusCondition(s.monitor().Status.Conditions, "PeeringHealthy"); found != nil {
		return *found
	}
	return metav1.Condition{}
}

// idle waits until nothing is left to do and the peerings are healthy.
func (s *service) idle() {
	s.Helper()
	s.until(s.namespace+" becomes idle", func() error {
		status := s.monitor().Status
		if status.WorkPending || status.WorkInProgress || len(status.Resets) > 0 ||
			!meta.IsStatusConditionTrue(status.Conditions, "PeeringHealthy") {
			return fmt.Errorf("%w: %+v", errWaiting, status)
		}
		return nil
	})
	if status := s.monitor().Status; status.LastEvent != "" || status.Phase != "Running" {
		s.Fatalf("idle, but %+v", status)
	}
}

// record collects the states of the monitor from now on, until the test's end.
func (s *service) record() {
	s.Helper()
	watching, err := s.kube.Watch(s.Context(), &v1beta2.DataPowerMonitorList{}, client.InNamespace(s.namespace))
	require.NoError(s, err)
	s.Cleanup(watching.Stop)
	go func() {
		for event := range watching.ResultChan() {
			if monitor, ok := event.Object.(*v1beta2.DataPowerMonitor); ok && event.Type != watch.Error {
				s.mutex.Lock()
				s.statuses = append(s.statuses, monitor.Status)
				s.arrivals = append(s.arrivals, time.Now())
				s.mutex.Unlock()
			}
		}
	}()
}

// phases are the recorded states of the debouncer, without repetitions: "pending", "working", "working+pending", "idle".
func (s *service) phases() []string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var phases []string
	for _, status := range s.statuses {
		phase := "idle"
		switch {
		case status.WorkInProgress && status.WorkPending:
			phase = "working+pending"
		case status.WorkInProgress:
			phase = "working"
		case status.WorkPending:
			phase = "pending"
		}
		if len(phases) == 0 && phase == "idle" {
			continue // before anything happened
		}
		if len(phases) == 0 || phases[len(phases)-1] != phase {
			phases = append(phases, phase)
		}
		if status.WorkPending != (status.LastEvent != "") {
			s.Errorf("workPending %v with lastEvent %q", status.WorkPending, status.LastEvent)
		}
	}
	return phases
}

// writes is how many states were recorded.
func (s *service) writes() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return len(s.statuses)
}

// events are the events on the monitor, as "Type Reason: note", that contain a text.
func (s *service) events(about string) []string {
	s.Helper()
	list := &eventsv1.EventList{}
	require.NoError(s, s.kube.List(s.Context(), list, client.InNamespace(s.namespace)))
	var found []string
	for _, event := range list.Items {
		text := event.Type + " " + event.Reason + ": " + event.Note
		if event.Regarding.Kind == "DataPowerMonitor" && strings.Contains(text, about) {
			found = append(found, text)
		}
	}
	slices.Sort(found)
	return found
}

func (s *service) pod(ordinal int) string { return fmt.Sprintf("%s-%d", name, ordinal) }

// instance is the gateway in a pod.
func (s *service) instance(ordinal int) *gateway.Instance {
	s.Helper()
	instance := s.fleet.Instance(s.namespace, s.pod(ordinal))
	require.NotNil(s, instance)
	return instance
}

// cordon keeps new pods away from the node of a pod, so that its successor has another address: a simulated node gives a
// freed address to its next pod.
func (s *service) cordon(ordinal int) (release func()) {
	s.Helper()
	pod := &corev1.Pod{}
	require.NoError(s, s.kube.Get(s.Context(), client.ObjectKey{Namespace: s.namespace, Name: s.pod(ordinal)}, pod))
	s.kubectl("cordon", pod.Spec.NodeName)
	return func() { s.kubectl("uncordon", pod.Spec.NodeName) }
}

func (s *service) deletePod(ordinal int) {
	s.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: s.pod(ordinal)}}
	require.NoError(s, s.kube.Delete(s.Context(), pod))
}

// edit changes the service.
func (s *service) edit(patch string) {
	s.Helper()
	object := &v1beta3.DataPowerService{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}
	require.NoError(s, s.kube.Patch(s.Context(), object, client.RawPatch("application/merge-patch+json", []byte(patch))))
}

// object is the DataPowerService.
func (s *service) object() *v1beta3.DataPowerService {
	s.Helper()
	object := &v1beta3.DataPowerService{}
	require.NoError(s, s.kube.Get(s.Context(), client.ObjectKey{Namespace: s.namespace, Name: name}, object))
	return object
}

// declareWithout makes a service without a monitor of the user's, with parked settings of v1beta1.
func (w *world) declareWithout(namespace, parked string) *service {
	w.Helper()
	s := &service{world: w, namespace: namespace}
	for _, object := range objects(namespace, 3, 0, w.certificate()) {
		if _, isMonitor := object.(*v1beta2.DataPowerMonitor); isMonitor {
			continue
		}
		if service, is := object.(*v1beta3.DataPowerService); is {
			service.Annotations = map[string]string{"datapower.ibm.com/v1beta1-datapower-monitor": parked}
		}
		require.NoError(w, w.kube.Create(w.Context(), object), "%T", object)
	}
	return s
}
