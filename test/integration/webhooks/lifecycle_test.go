package webhooks_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/webhooks/pki"
	"github.com/datapower-operator/datapower-operator/webhooks/registration"
)

// registered are the four configurations of the operator in a namespace.
func registered(t testing.TB, namespace string) []client.Object {
	t.Helper()
	var found []client.Object
	for _, name := range registration.DefaulterNames(namespace) {
		configuration := &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: name}}
		require.NoError(t, world.client.Get(t.Context(), client.ObjectKeyFromObject(configuration), configuration))
		found = append(found, configuration)
	}
	for _, name := range registration.ValidatorNames(namespace) {
		configuration := &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: name}}
		require.NoError(t, world.client.Get(t.Context(), client.ObjectKeyFromObject(configuration), configuration))
		found = append(found, configuration)
	}
	return found
}

func secret(t testing.TB, namespace, name string) *corev1.Secret {
	t.Helper()
	found := &corev1.Secret{}
	require.NoError(t, world.client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, found))
	return found
}

// works tells whether the webhooks of a namespace refuse what is wrong, which only they refuse.
func works(t testing.TB, namespace string) error {
	wrong := service(t, namespace, "gw", minimal)
	wrong.Object["spec"].(map[string]any)["version"] = "9.9-lts"
	err := world.client.Create(t.Context(), wrong, client.DryRunAll)
	if err == nil || !strings.Contains(err.Error(), "spec.version") {
		return fmt.Errorf("a service that is wrong is not refused by the webhook: %w", err)
	}
	return world.client.Create(t.Context(), service(t, namespace, "gw", minimal), client.DryRunAll)
}

// requests of a user that the audit log knows, by verb and resource.
func requests(t testing.TB, user string) map[string]int {
	t.Helper()
	log, err := os.ReadFile(world.AuditLogPath())
	require.NoError(t, err)
	seen := map[string]int{}
	lines := bufio.NewScanner(bytes.NewReader(log))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event struct {
			Verb           string
			User           struct{ Username string }
			ObjectRef      struct{ Resource, Name string }
			ResponseStatus struct{ Code int }
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &event))
		if event.User.Username == user {
			what := event.Verb + " " + event.ObjectRef.Resource
			if event.ResponseStatus.Code == http.StatusConflict { // a second create before the cache has the first
				what = "refused " + what
			}
			seen[what]++
		}
	}
	require.NoError(t, lines.Err())
	return seen
}

func TestTheConfigurationsAreAsPromised(t *testing.T) {
	needWorld(t)
	namespace := makeNamespace(t, "promised")
	start(t, namespace, nil).untilReady()
	var names []string
	for _, configuration := range registered(t, namespace) {
		names = append(names, configuration.GetName())
	}
	assert.Equal(t, []string{
		"promised.datapowerservices.defaulter.datapower.ibm.com", "promised.datapowermonitors.defaulter.datapower.ibm.com",
		"promised.datapowerservices.validator.datapower.ibm.com", "promised.datapowermonitors.validator.datapower.ibm.com",
	}, names)
	defaulter := registered(t, namespace)[0].(*admissionv1.MutatingWebhookConfiguration)
	require.Len(t, defaulter.Webhooks, 1)
	webhook := defaulter.Webhooks[0]
	assert.Equal(t, "datapowerservices.defaulter.datapower.ibm.com", webhook.Name)
	assert.Equal(t, admissionv1.Fail, *webhook.FailurePolicy)
	assert.Equal(t, admissionv1.Equivalent, *webhook.MatchPolicy)
	assert.Equal(t, admissionv1.SideEffectClassNone, *webhook.SideEffects)
	assert.EqualValues(t, 10, *webhook.TimeoutSeconds)
	assert.Equal(t, []string{"v1beta1", "v1beta2", "v1beta3"}, webhook.Rules[0].APIVersions)
	assert.Equal(t, []string{namespace}, webhook.NamespaceSelector.MatchExpressions[0].Values)
}

func TestNothingIsWrittenOrReadWhileAllIsRight(t *testing.T) {
	needWorld(t)
	namespace := makeNamespace(t, "idle")
	operator := start(t, namespace, nil).untilReady()
	require.NoError(t, works(t, namespace))
	var before map[string]int
	eventually(t, patience, func() error { // the last reads of the start
		previous := before
		before = requests(t, operator.user)
		time.Sleep(500 * time.Millisecond)
		if !assert.ObjectsAreEqual(previous, before) {
			return fmt.Errorf("still at work: %v", before)
		}
		return nil
	})
	time.Sleep(5 * time.Second) // longer than what it does at intervals when it has work
	assert.True(t, operator.isReady())
	assert.Equal(t, before, requests(t, operator.user))
	assert.Equal(t, 2, before["create secrets"])
	assert.Equal(t, 2, before["create mutatingwebhookconfigurations"])
	assert.Equal(t, 2, before["create validatingwebhookconfigurations"])
	assert.Zero(t, before["update secrets"])
	assert.Zero(t, before["update mutatingwebhookconfigurations"])
}

func TestDamageIsMended(t *testing.T) {
	needWorld(t)
	namespace := makeNamespace(t, "damage")
	start(t, namespace, nil).untilReady()
	require.NoError(t, works(t, namespace))
	ctx := t.Context()
	edit := func(name string, change func(data map[string][]byte)) func() error {
		return func() error {
			found := secret(t, namespace, name)
			change(found.Data)
			return world.client.Update(ctx, found)
		}
	}
	remove := func(name string) func() error {
		return func() error { return world.client.Delete(ctx, secret(t, namespace, name)) }
	}
	const leaf, ca = "datapower-operator", "datapower-operator-ca"
	for name, damage := range map[string]func() error{
		"the leaf's Secret is deleted": remove(leaf),
		"the CA's Secret is deleted":   remove(ca),
		"the leaf's key is another's":  edit(leaf, func(d map[string][]byte) { d["tls.key"] = secret(t, namespace, ca).Data["tls.key"] }),
		"the leaf is no certificate":   edit(leaf, func(d map[string][]byte) { d["tls.crt"] = []byte("?") }),
		"the leaf's bundle is empty":   edit(leaf, func(d map[string][]byte) { d["ca.crt"] = nil }),
		"the CA's key is lost":         edit(ca, func(d map[string][]byte) { d["tls.key"] = nil }),
		"the CA's bundle is rubbish":   edit(ca, func(d map[string][]byte) { d["ca.crt"] = []byte("?") }),
		"the leaf's Secret is frozen":  func() error { return freeze(t, namespace, leaf) },
		"both Secrets are deleted": func() error {
			if err := remove(ca)(); err != nil {
				return err
			}
			return remove(leaf)()
		},
		"a configuration is deleted": func() error { return world.client.Delete(ctx, registered(t, namespace)[0]) },
		"a bundle is emptied":        editMutating(t, namespace, func(w *admissionv1.MutatingWebhook) { w.ClientConfig.CABundle = nil }),
		"a bundle is another's": editMutating(t, namespace, func(w *admissionv1.MutatingWebhook) {
			stranger, err := pki.NewCA("stranger", time.Now(), pki.DefaultPolicy())
			require.NoError(t, err)
			w.ClientConfig.CABundle = stranger.Cert
		}),
		"a rule is changed":     editMutating(t, namespace, func(w *admissionv1.MutatingWebhook) { w.Rules[0].APIVersions = []string{"v1"} }),
		"the policy is changed": editMutating(t, namespace, func(w *admissionv1.MutatingWebhook) { *w.FailurePolicy = admissionv1.Ignore }),
		"all entries are deleted": func() error {
			configuration := registered(t, namespace)[2].(*admissionv1.ValidatingWebhookConfiguration)
			configuration.Webhooks = nil
			return world.client.Update(ctx, configuration)
		},
	} {
		t.Run(name, func(t *testing.T) {
			right := webhooksOf(registered(t, namespace))
			require.NoError(t, damage())
			eventually(t, repairTime, func() error { return isWhole(t, namespace, right) })
			eventually(t, repairTime, func() error { return works(t, namespace) })
		})
	}
}

func freeze(t testing.TB, namespace, name string) error {
	found := secret(t, namespace, name)
	found.Data["tls.crt"] = []byte("frozen")
	found.Immutable = new(true)
	return world.client.Update(t.Context(), found)
}

func editMutating(t testing.TB, namespace string, change func(*admissionv1.MutatingWebhook)) func() error {
	return func() error {
		configuration := registered(t, namespace)[0].(*admissionv1.MutatingWebhookConfiguration)
		change(&configuration.Webhooks[0])
		return world.client.Update(t.Context(), configuration)
	}
}

// webhooksOf are the entries of configurations without their bundles, which a repair may have to change.
func webhooksOf(configurations []client.Object) []any {
	var entries []any
	for _, configuration := range configurations {
		switch c := configuration.(type) {
		case *admissionv1.MutatingWebhookConfiguration:
			for _, webhook := range c.Webhooks {
				webhook.ClientConfig.CABundle = nil
				entries = append(entries, webhook)
			}
		case *admissionv1.ValidatingWebhookConfiguration:
			for _, webhook := range c.Webhooks {
				webhook.ClientConfig.CABundle = nil
				entries = append(entries, webhook)
			}
		}
	}
	return entries
}

// isWhole tells whether Secrets and configurations fit together, and no rotation is under way.
func isWhole(t testing.TB, namespace string, entries []any) error {
	for _, name := range append(registration.DefaulterNames(namespace), registration.ValidatorNames(namespace)...) {
		err := world.client.Get(t.Context(), client.ObjectKey{Name: name}, configurationFor(name))
		if err != nil {
			return err
		}
	}
	var ca, leaf corev1.Secret
	for name, into := range map[string]*corev1.Secret{"datapower-operator-ca": &ca, "datapower-operator": &leaf} {
		if err := world.client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, into); err != nil {
			return err
		}
	}
	names := pki.Names{DNS: nil}
	bundle, err := pki.ParseBundle(ca.Data["ca.crt"])
	if err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	if len(bundle) != 1 {
		return fmt.Errorf("the bundle still has %d certificates", len(bundle))
	}
	if _, err := pki.CheckCA(pki.Pair{Cert: ca.Data["tls.crt"], Key: ca.Data["tls.key"]}, time.Now()); err != nil {
		return err
	}
	if _, err := pki.CheckLeaf(pki.Pair{Cert: leaf.Data["tls.crt"], Key: leaf.Data["tls.key"]}, bundle, names, time.Now()); err != nil {
		return err
	}
	if !bytes.Equal(leaf.Data["ca.crt"], ca.Data["ca.crt"]) {
		return fmt.Errorf("the bundles differ")
	}
	now := registered(t, namespace)
	if !assert.ObjectsAreEqual(entries, webhooksOf(now)) {
		return fmt.Errorf("the configurations are not mended")
	}
	for _, configuration := range now {
		if text, err := json.Marshal(configuration); err != nil || !bytes.Contains(text, base64Of(ca.Data["ca.crt"])) {
			return fmt.Errorf("%s has another bundle", configuration.GetName())
		}
	}
	return nil
}

func base64Of(text []byte) []byte {
	encoded, _ := json.Marshal(text) // how the API encodes bytes
	return bytes.Trim(encoded, `"`)
}

func configurationFor(name string) client.Object {
	if strings.Contains(name, ".defaulter.") {
		return &admissionv1.MutatingWebhookConfiguration{}
	}
	return &admissionv1.ValidatingWebhookConfiguration{}
}

func TestOperatorsOfTwoNamespacesDoNotMeet(t *testing.T) {
	needWorld(t)
	a, b, neither := makeNamespace(t, "two-a"), makeNamespace(t, "two-b"), makeNamespace(t, "two-neither")
	first := start(t, a, nil).untilReady()
	start(t, b, nil).untilReady()
	require.NoError(t, works(t, a))
	require.NoError(t, works(t, b))
	before := registered(t, b)
	first.stop(syscall.SIGTERM)
	require.NoError(t, works(t, b), "one operator's end is not the other's")
	err := world.client.Create(t.Context(), service(t, a, "gw", minimal), client.DryRunAll)
	require.ErrorContains(t, err, "failed calling webhook", "without its operator nothing unchecked gets in")
	require.NoError(t, world.client.Create(t.Context(), service(t, neither, "gw", minimal), client.DryRunAll))
	start(t, a, nil).untilReady() // at another port: the configuration of before is stale
	require.NoError(t, works(t, a))
	assert.Equal(t, before, registered(t, b))
}

func TestARestartChangesNothing(t *testing.T) {
	needWorld(t)
	namespace := makeNamespace(t, "restart")
	address := freeAddress(t)
	operator := start(t, namespace, nil, "--webhook-bind-address="+address).untilReady()
	before := registered(t, namespace)
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		operator.stop(signal)
		operator = start(t, namespace, nil, "--webhook-bind-address="+address).untilReady()
		require.NoError(t, works(t, namespace))
	}
	assert.Equal(t, before, registered(t, namespace), "to the resourceVersion")
}

func TestWhatTheOperatorRegistersGoesWithItsClusterRole(t *testing.T) {
	needWorld(t)
	namespace := makeNamespace(t, "owner")
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "datapower-operator-owner"}}
	require.NoError(t, world.client.Create(t.Context(), role))
	environment := []string{"NAMESPACED_NAME=" + role.Name}
	operator := start(t, namespace, environment).untilReady()
	want := []metav1.OwnerReference{{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole", Name: role.Name, UID: role.UID}}
	for _, configuration := range registered(t, namespace) {
		assert.Equal(t, want, configuration.GetOwnerReferences())
	}
	assert.Equal(t, want, secret(t, namespace, "datapower-operator").OwnerReferences)

	require.NoError(t, world.client.Delete(t.Context(), role))
	names := append(registration.DefaulterNames(namespace), registration.ValidatorNames(namespace)...)
	eventually(t, patience, func() error { return allGone(t, names) })
	eventually(t, patience, func() error {
		if !strings.Contains(operator.log.String(), "reading the ClusterRole that NAMESPACED_NAME names") {
			return fmt.Errorf("it does not say that its ClusterRole is missing")
		}
		return nil
	})
	require.NoError(t, allGone(t, names), "an operator that is being uninstalled does not register again")

	role.ResourceVersion, role.UID = "", ""
	require.NoError(t, world.client.Create(t.Context(), role))
	eventually(t, repairTime, func() error { return works(t, namespace) })
}

func allGone(t testing.TB, names []string) error {
	for _, name := range names {
		err := world.client.Get(t.Context(), client.ObjectKey{Name: name}, configurationFor(name))
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("%s is still there (%w)", name, err)
		}
	}
	return nil
}

func TestACertificateOfSomebodyElseIsServedAndNotTouched(t *testing.T) {
	needWorld(t)
	namespace := makeNamespace(t, "external")
	operator := start(t, namespace, nil, "--webhook-external-certificate")
	eventually(t, patience, func() error { return told(t, namespace, "CertificateProblem", "there is no certificate") })
	require.False(t, operator.isReady())

	ca, err := pki.NewCA("somebody", time.Now(), pki.DefaultPolicy())
	require.NoError(t, err)
	issue := func() *corev1.Secret {
		leaf, err := pki.Issue(ca, pki.ServiceNames("datapower-operator", namespace), time.Now(), pki.DefaultPolicy())
		require.NoError(t, err)
		return &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "datapower-operator"}, Type: corev1.SecretTypeTLS,
			Data: map[string][]byte{"tls.crt": leaf.Cert, "tls.key": leaf.Key, "ca.crt": ca.Cert},
		}
	}
	wrong := issue()
	require.NoError(t, world.client.Create(t.Context(), wrong))
	eventually(t, patience, func() error {
		if !strings.Contains(operator.log.String(), "127.0.0.1") {
			return fmt.Errorf("it does not say that the certificate is for other names")
		}
		return nil
	})
	right, err := pki.Issue(ca, pki.Names{IPs: loopback}, time.Now(), pki.DefaultPolicy())
	require.NoError(t, err)
	wrong.Data["tls.crt"], wrong.Data["tls.key"] = right.Cert, right.Key
	require.NoError(t, world.client.Update(t.Context(), wrong))
	operator.untilReady()
	require.NoError(t, works(t, namespace))
	assert.Equal(t, wrong.ResourceVersion, secret(t, namespace, "datapower-operator").ResourceVersion)
	err = world.client.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "datapower-operator-ca"}, &corev1.Secret{})
	assert.True(t, apierrors.IsNotFound(err), "no CA of our own")
}

// told tells whether there is an event with a reason and a text.
func told(t testing.TB, namespace, reason, text string) error {
	var events eventsv1.EventList
	require.NoError(t, world.client.List(t.Context(), &events, client.InNamespace(namespace)))
	for _, event := range events.Items {
		if event.Reason == reason && event.Type == corev1.EventTypeWarning && strings.Contains(event.Note, text) {
			return nil
		}
	}
	return fmt.Errorf("no event %s with %q", reason, text)
}
