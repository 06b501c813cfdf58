package olm_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/test/e2e/journey"
)

const (
	// operator is the name of the package, of the operator's Deployment and of its ServiceAccount.
	operator  = "datapower-operator"
	nameLabel = "app.kubernetes.io/name"
	// gateways is the namespace of the operator that watches its own.
	gateways = "gateways"
	service  = "datapower.ibm.com/v1beta3"
)

// definitions are the operator's.
var definitions = []string{"datapowerservices.datapower.ibm.com", "datapowermonitors.datapower.ibm.com"}

func TestTheOperatorInTheLifecycleManager(t *testing.T) {
	w := newWorld(t)
	var has images
	w.Phase("images", func() { has = w.provide() })
	w.Phase("OLM is installed", func() { w.installLifecycleManager(has) })
	w.Phase("the catalogue serves 0.1.0", func() { w.catalogue(has.catalogues["0.1.0"]) })
	w.Phase("0.1.0 by a Subscription, for its own namespace", func() {
		w.restricted(gateways)
		w.operatorGroup(gateways)
		w.subscribe(gateways)
		w.runs(gateways, "0.1.0")
	})
	w.Phase("a DataPowerService becomes Running", func() { w.serve(has.gateway) })
	before := w.gatewayPods()
	w.Phase("0.1.1 by the channel", func() { w.upgrade(has) })
	w.Phase("the examples of the bundle apply", func() { w.examples(gateways, "0.1.1") })
	w.Phase("uninstalled, the gateways run on", func() {
		unregistered := w.deletions()
		w.unsubscribe(gateways, "0.1.1")
		w.noOperator(gateways)
		w.Eventually("it was seen that the webhooks went", func() error {
			if names := unregistered(); len(names) != len(definitions) {
				return fmt.Errorf("only %v", names)
			}
			return nil
		})
	})
	w.Phase("0.1.1 for all namespaces takes them over", func() {
		w.subscribe(everywhere) // OLM's chart has the OperatorGroup
		w.runs(everywhere, "0.1.1")
		w.scale(before)
	})
	w.Phase("uninstalled with its services, nothing is left", func() {
		w.remove(service, "DataPowerService", gateways, "gateway")
		w.Eventually("the gateways are gone", func() error {
			if left := w.gatewayPods(); len(left) > 0 {
				return fmt.Errorf("pods %v", slices.Sorted(maps.Keys(left)))
			}
			return nil
		})
		w.unsubscribe(everywhere, "0.1.1")
		w.noOperator(everywhere)
		for _, name := range definitions {
			w.remove("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", name)
		}
		w.nothingLeft(gateways, everywhere)
	})
	w.Phase("OLM is removed", func() { w.removeLifecycleManager(has) })
	t.Logf("phases:\n%s", w.Timings())
}

// operatorGroup lets OLM install operators in a namespace, for that namespace.
func (w *world) operatorGroup(namespace string) {
	w.Helper()
	object := blank(coreosv1, "OperatorGroup")
	object.SetNamespace(namespace)
	object.SetName(namespace)
	object.Object["spec"] = map[string]any{"targetNamespaces": []any{namespace}}
	w.apply(object)
}

// runs waits until OLM has installed a version and that does its work: its replicas are ready, one of them leads, and its webhooks are
// registered, owned by the ClusterRole that OLM made for this version.
func (w *world) runs(namespace, version string) {
	w.Helper()
	w.succeeded(namespace, csv(version))
	w.Eventually("two replicas are ready, of which one leads", func() error {
		pods := w.pods(namespace, nameLabel+"="+operator)
		leaders := 0
		for name, pod := range pods {
			if !ready(pod) || !strings.Contains(fmt.Sprint(pod.Spec.Containers), csv(version)) {
				return fmt.Errorf("pod %s is not ready, or of another version", name)
			}
			if pod.Labels["leader"] == "true" {
				leaders++
			}
		}
		if len(pods) != 2 || leaders != 1 {
			return fmt.Errorf("%d pods, %d leaders", len(pods), leaders)
		}
		return nil
	})
	w.Eventually("the webhooks are registered", func() error {
		configurations := w.webhooks(namespace)
		for _, object := range configurations {
			if err := w.registered(object, namespace, version); err != nil {
				return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
			}
		}
		if len(configurations) != 4 {
			return fmt.Errorf("%d configurations", len(configurations))
		}
		return nil
	})
}

// webhooks are the webhook configurations of the operator in a namespace.
func (w *world) webhooks(namespace string) []unstructured.Unstructured {
	w.Helper()
	var found []unstructured.Unstructured
	for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
		for _, object := range w.list("admissionregistration.k8s.io/v1", kind) {
			if strings.HasPrefix(object.GetName(), namespace+".") {
				found = append(found, object)
			}
		}
	}
	return found
}

// registered tells what is wrong with a webhook configuration: it needs the authority of the certificate, and as its owner the
// ClusterRole of the version.
func (w *world) registered(object unstructured.Unstructured, namespace, version string) error {
	hooks, _, err := unstructured.NestedSlice(object.Object, "webhooks")
	if err != nil || len(hooks) != 1 {
		return fmt.Errorf("%d webhooks, %w", len(hooks), err)
	}
	if bundle, _, _ := unstructured.NestedString(hooks[0].(map[string]any), "clientConfig", "caBundle"); bundle == "" {
		return fmt.Errorf("no authority")
	}
	owners := object.GetOwnerReferences()
	if len(owners) != 1 || owners[0].Kind != "ClusterRole" {
		return fmt.Errorf("owners %v", owners)
	}
	role := blank("rbac.authorization.k8s.io/v1", "ClusterRole")
	if err := w.kube.Get(w.Context(), client.ObjectKey{Name: owners[0].Name}, role); err != nil {
		return err
	}
	labels := role.GetLabels()
	if role.GetUID() != owners[0].UID || labels["olm.owner"] != csv(version) || labels["olm.owner.namespace"] != namespace ||
		labels["olm.owner.kind"] != "ClusterServiceVersion" {
		return fmt.Errorf("owner %s with the labels %v", role.GetName(), labels)
	}
	return nil
}

// serve makes a DataPowerService of two gateways and waits until they run.
func (w *world) serve(image string) {
	w.Helper()
	w.apply(w.inNamespace(gateways, fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: admin-credentials}
stringData: {password: change-me-please}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: management}
data:
  management.cfg: |
    top; configure terminal;
    rest-mgmt
      admin-state enabled
      local-address 0.0.0.0 5554
    exit
---
apiVersion: %s
kind: DataPowerService
metadata: {name: gateway}
spec:
  license: {accept: true, use: nonproduction, license: L-RJON-CCCP46}
  version: 10.6-lts
  image: %s
  replicas: 2
  resources: {requests: {cpu: 100m, memory: 2Gi}, limits: {cpu: "1", memory: 2Gi}}
  users: [{name: admin, passwordSecret: admin-credentials, accessLevel: privileged}]
  domains: [{name: default, dpApp: {config: [management]}}]
`, service, image))...)
	w.running(2)
}

// inNamespace parses objects and puts them into a namespace.
func (w *world) inNamespace(namespace, text string) []*unstructured.Unstructured {
	w.Helper()
	objects := parse(w.T, text)
	for _, object := range objects {
		object.SetNamespace(namespace)
	}
	return objects
}

// running waits until the service is Running with so many ready pods.
func (w *world) running(replicas int) {
	w.Helper()
	w.Eventually("the service runs", func() error {
		found := w.get(service, "DataPowerService", gateways, "gateway")
		phase, _, _ := unstructured.NestedString(found.Object, "status", "phase")
		pods := w.gatewayPods()
		for name, pod := range pods {
			if !ready(pod) {
				return fmt.Errorf("%s: pod %s is not ready", phase, name)
			}
		}
		if phase != "Running" || len(pods) != replicas {
			return fmt.Errorf("%s, with %d pods", phase, len(pods))
		}
		return nil
	})
}

// gatewayPods are the pods of the service.
func (w *world) gatewayPods() map[string]corev1.Pod {
	w.Helper()
	found := w.pods(gateways, "")
	maps.DeleteFunc(found, func(_ string, pod corev1.Pod) bool {
		return !slices.ContainsFunc(pod.OwnerReferences, func(o metav1.OwnerReference) bool {
			return o.Kind == "StatefulSet" && strings.Contains(o.Name, "gateway")
		})
	})
	return found
}

// identities are the UIDs of pods, and how often their containers were restarted.
func identities(pods map[string]corev1.Pod) map[string]string {
	out := map[string]string{}
	for name, pod := range pods {
		restarts := int32(0)
		for _, container := range pod.Status.ContainerStatuses {
			restarts += container.RestartCount
		}
		out[name] = fmt.Sprintf("%s, restarted %d times", pod.UID, restarts)
	}
	return out
}

// upgrade gives OLM a catalogue with the next version. Meanwhile no webhook configuration may go, as the API server would let
// everything pass, and no gateway may be restarted.
func (w *world) upgrade(has images) {
	w.Helper()
	before, certificates := w.gatewayPods(), w.certificates()
	unregistered, refused := w.deletions(), w.asking()
	w.catalogue(has.catalogues["0.1.1"])
	w.runs(gateways, "0.1.1")
	w.gone(coreos, "ClusterServiceVersion", gateways, csv("0.1.0"))
	w.Eventually("the roles of the last version are gone", func() error {
		left := w.list("rbac.authorization.k8s.io/v1", "ClusterRole", client.MatchingLabels{"olm.owner": csv("0.1.0")})
		if len(left) > 0 {
			return fmt.Errorf("ClusterRole %s", left[0].GetName())
		}
		return nil
	})
	w.runs(gateways, "0.1.1") // still, without them
	assert.Empty(w, unregistered(), "a webhook configuration was gone for a while")
	assert.Empty(w, refused(), "a webhook did not answer for a while")
	assert.Equal(w, certificates, w.certificates(), "the new version keeps the certificates of the old one")
	w.running(2)
	assert.Equal(w, identities(before), identities(w.gatewayPods()), "gateways are not restarted")
	w.validates()
}

// deletions watches the validating webhook configurations to the end of the phase. The function that it returns names those that were
// deleted so far.
func (w *world) deletions() func() []string {
	w.Helper()
	watcher, err := w.clients.AdmissionregistrationV1().ValidatingWebhookConfigurations().Watch(w.Context(), listOptions(""))
	require.NoError(w, err)
	w.Cleanup(watcher.Stop)
	var mutex sync.Mutex
	var names []string
	go func() {
		for event := range watcher.ResultChan() {
			if configuration, is := event.Object.(*admissionv1.ValidatingWebhookConfiguration); is && event.Type == watch.Deleted {
				mutex.Lock()
				names = append(names, configuration.Name)
				mutex.Unlock()
			}
		}
	}()
	return func() []string {
		mutex.Lock()
		defer mutex.Unlock()
		return slices.Clone(names)
	}
}

// certificates are the UIDs of the Secrets with the authority and the certificate of the webhooks.
func (w *world) certificates() []types.UID {
	w.Helper()
	return []types.UID{w.get("v1", "Secret", gateways, operator).GetUID(), w.get("v1", "Secret", gateways, operator+"-ca").GetUID()}
}

// asking asks the webhooks about a harmless change, again and again to the end of the phase. The function that it returns tells what
// went wrong so far, if it went wrong twice in a row: the proxies of a busy node learn of a pod's end late.
func (w *world) asking() func() []string {
	w.Helper()
	t, ctx, patch := w.T, w.Context(), client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"asked":"yes"}}}`))
	ctx, stop := context.WithCancel(ctx)
	var mutex sync.Mutex
	var gaps []string
	ended := make(chan struct{})
	w.Cleanup(func() { stop(); <-ended })
	go func() {
		defer close(ended)
		for last := error(nil); ctx.Err() == nil; time.Sleep(journey.Tick) {
			found := blank(service, "DataPowerService")
			found.SetNamespace(gateways)
			found.SetName("gateway")
			err := w.kube.Patch(ctx, found, patch, client.DryRunAll)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				t.Logf("asked in vain: %v", err)
			}
			if err != nil && last != nil {
				mutex.Lock()
				gaps = append(gaps, err.Error())
				mutex.Unlock()
			}
			last = err
		}
	}()
	return func() []string {
		mutex.Lock()
		defer mutex.Unlock()
		return slices.Clone(gaps)
	}
}

// validates asks the webhooks, for validation and for conversion.
func (w *world) validates() {
	w.Helper()
	found := w.get(service, "DataPowerService", gateways, "gateway")
	require.NoError(w, unstructured.SetNestedField(found.Object, false, "spec", "license", "accept"))
	err := w.kube.Update(w.Context(), found, client.DryRunAll)
	require.ErrorContains(w, err, "license")
	old := w.get("datapower.ibm.com/v1beta1", "DataPowerService", gateways, "gateway")
	assert.Equal(w, found.GetUID(), old.GetUID())
}

// examples applies what catalogues show as examples, waits until the operator has taken notice of them, and deletes them.
func (w *world) examples(namespace, version string) {
	w.Helper()
	installed := w.get(coreos, "ClusterServiceVersion", namespace, csv(version))
	var examples []map[string]any
	require.NoError(w, json.Unmarshal([]byte(installed.GetAnnotations()["alm-examples"]), &examples))
	require.NotEmpty(w, examples)
	var made []*unstructured.Unstructured
	for _, content := range examples {
		example := &unstructured.Unstructured{Object: content}
		example.SetNamespace(namespace)
		example.SetName("example-" + example.GetName())
		w.apply(example)
		made = append(made, example)
	}
	for _, example := range made {
		if example.GetKind() == "DataPowerService" {
			w.Eventually("the operator renders "+example.GetName(), func() error {
				return w.kube.Get(w.Context(), client.ObjectKeyFromObject(example), blank("apps/v1", "StatefulSet"))
			})
		}
	}
	for _, example := range made {
		require.NoError(w, w.kube.Delete(w.Context(), example))
	}
	for _, example := range made {
		w.gone(example.GetAPIVersion(), example.GetKind(), namespace, example.GetName())
	}
}

// unsubscribe uninstalls the operator as docs/install.md says.
func (w *world) unsubscribe(namespace, version string) {
	w.Helper()
	w.remove(coreos, "Subscription", namespace, operator)
	installed := w.list(coreos, "ClusterServiceVersion", client.InNamespace(namespace), client.HasLabels{"operators.coreos.com/" + operator + "." + namespace})
	require.Len(w, installed, 1)
	require.Equal(w, csv(version), installed[0].GetName())
	w.remove(coreos, "ClusterServiceVersion", namespace, csv(version))
}

// noOperator waits until the operator's pods, rights and webhooks are gone. Its definitions stay, and what they define.
func (w *world) noOperator(namespace string) {
	w.Helper()
	w.Eventually("the operator is gone", func() error {
		if pods := w.pods(namespace, nameLabel+"="+operator); len(pods) > 0 {
			return fmt.Errorf("%d pods are there", len(pods))
		}
		for _, kind := range []string{"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"} {
			left := w.list("rbac.authorization.k8s.io/v1", kind, client.MatchingLabels{
				"olm.owner.kind": "ClusterServiceVersion", "olm.owner.namespace": namespace,
			})
			if len(left) > 0 {
				return fmt.Errorf("%s %s is there", kind, left[0].GetName())
			}
		}
		if left := w.webhooks(namespace); len(left) > 0 {
			return fmt.Errorf("%s is there", left[0].GetName())
		}
		return nil
	})
}

// scale has the operator add a gateway to those that another installation of it made, which are not restarted.
func (w *world) scale(before map[string]corev1.Pod) {
	w.Helper()
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":3}}`))
	w.Eventually("the new operator's webhooks are reached", func() error {
		return w.kube.Patch(w.Context(), w.get(service, "DataPowerService", gateways, "gateway"), patch)
	})
	w.running(3)
	after := identities(w.gatewayPods())
	for name, identity := range identities(before) {
		assert.Equal(w, identity, after[name])
	}
}
