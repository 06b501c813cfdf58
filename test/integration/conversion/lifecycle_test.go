package conversion_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/webhooks/conversionruntime"
	"github.com/datapower-operator/datapower-operator/webhooks/pki"
)

const gateways = "gateways"

func meta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name}
}

// managed tells whether the Deployment in a namespace exists and names its manager.
func (w *world) managed(namespace string) bool {
	d := &appsv1.Deployment{ObjectMeta: meta(namespace, conversionruntime.Name)}
	return w.client.Get(w.Context(), client.ObjectKeyFromObject(d), d) == nil &&
		d.Annotations[conversionruntime.ManagedByAnnotation] == namespace+"/datapower-operator"
}

func (w *world) absent(object client.Object) bool {
	return apierrors.IsNotFound(w.client.Get(w.Context(), client.ObjectKeyFromObject(object), object))
}

func TestTheConversionWebhookIsKeptAndSurvivesWhatHappensToIt(t *testing.T) {
	w := newWorld(t, cluster.Options{Nodes: 2, AuditLog: true})
	for _, name := range []string{"operators-a", "operators-b", gateways} {
		w.namespace(name)
	}
	first := w.operatorDeployment("operators-a")
	w.install(nil)
	a := w.sidecar("operators-a", "--conversion=both")
	w.eventually("the definition leads to the webhook", func() bool {
		c := w.crd().Spec.Conversion
		return c != nil && c.Strategy == apiextensionsv1.WebhookConverter
	})
	w.makeOld(gateways, "old")

	t.Run("published resources of every version are read and edited in every version", func(t *testing.T) { w.on(t).published() })
	t.Run("everything is there, and owned by the definition", func(t *testing.T) { w.on(t).objects() })
	t.Run("what is damaged is repaired while conversion goes on", func(t *testing.T) { w.on(t).damages() })
	t.Run("a second operator stands by, and nothing is written or read when all is well", func(t *testing.T) {
		w := w.on(t)
		w.operatorDeployment("operators-b")
		b := w.sidecar("operators-b", "--conversion=both")
		w.eventually("b stands by", func() bool { return strings.Contains(b.text(), "another operator manages the conversion webhook") })
		w.idle()
		assert.False(t, w.managed("operators-b"))
		assert.True(t, w.converts(gateways, "old"))

		require.NoError(t, w.client.Delete(w.Context(), first))
		w.eventually("b takes the webhook over", func() bool { return w.managed("operators-b") })
		w.eventually("the orphan is gone", func() bool {
			return w.absent(&appsv1.Deployment{ObjectMeta: meta("operators-a", conversionruntime.Name)}) &&
				w.absent(&corev1.Service{ObjectMeta: meta("operators-a", conversionruntime.Name)}) &&
				w.absent(&corev1.Secret{ObjectMeta: meta("operators-a", conversionruntime.SecretName)})
		})
		a.end(syscall.SIGTERM)
		w.eventually("conversion goes on without a", func() bool { return w.converts(gateways, "old") })
		var binding rbacv1.ClusterRoleBinding
		w.eventually("the binding is that of b", func() bool {
			return w.client.Get(w.Context(), client.ObjectKey{Name: conversionruntime.AccountName}, &binding) == nil &&
				len(binding.Subjects) == 1 && binding.Subjects[0].Namespace == "operators-b"
		})

		b.end(syscall.SIGKILL)
		_, err := w.read("v1beta3", gateways, "old")
		require.NoError(t, err, "the stored version needs no webhook")
		_, err = w.read("v1beta1", gateways, "old")
		require.ErrorContains(t, err, "conversion webhook", "an old version says what is missing")
		assert.Equal(t, apiextensionsv1.WebhookConverter, w.crd().Spec.Conversion.Strategy, "the stanza stays")
		w.sidecar("operators-b", "--conversion=both")
		w.eventually("conversion is back with the operator", func() bool { return w.converts(gateways, "old") })
	})
}

func (w *world) objects() {
	uid := w.crd().UID
	for _, object := range []client.Object{
		&appsv1.Deployment{ObjectMeta: meta("operators-a", conversionruntime.Name)},
		&corev1.Service{ObjectMeta: meta("operators-a", conversionruntime.Name)},
		&corev1.Secret{ObjectMeta: meta("operators-a", conversionruntime.SecretName)},
		&corev1.Secret{ObjectMeta: meta("operators-a", conversionruntime.CASecretName)},
		&corev1.ServiceAccount{ObjectMeta: meta("operators-a", conversionruntime.AccountName)},
		&rbacv1.ClusterRole{ObjectMeta: meta("", conversionruntime.AccountName)},
		&rbacv1.ClusterRoleBinding{ObjectMeta: meta("", conversionruntime.AccountName)},
	} {
		require.NoError(w, w.client.Get(w.Context(), client.ObjectKeyFromObject(object), object))
		require.Len(w, object.GetOwnerReferences(), 1)
		assert.Equal(w, uid, object.GetOwnerReferences()[0].UID)
	}
	assert.True(w, w.managed("operators-a"))
	w.eventually("its pods run", func() bool {
		d := &appsv1.Deployment{ObjectMeta: meta("operators-a", conversionruntime.Name)}
		return w.client.Get(w.Context(), client.ObjectKeyFromObject(d), d) == nil && d.Status.ReadyReplicas == 2 &&
			d.Spec.Template.Spec.Containers[0].Image == image
	})
}

// damages does harm to one thing after the other.
func (w *world) damages() {
	const ns = "operators-a"
	service := func() *corev1.Service { return &corev1.Service{ObjectMeta: meta(ns, conversionruntime.Name)} }
	deployment := func() *appsv1.Deployment { return &appsv1.Deployment{ObjectMeta: meta(ns, conversionruntime.Name)} }
	secret := func(name string) *corev1.Secret { return &corev1.Secret{ObjectMeta: meta(ns, name)} }
	definition := func() client.Object {
		return &apiextensionsv1.CustomResourceDefinition{ObjectMeta: meta("", conversionruntime.CRDName)}
	}
	whole := func(name string) func() bool {
		return func() bool {
			s := secret(name)
			err := w.client.Get(w.Context(), client.ObjectKeyFromObject(s), s)
			return err == nil && strings.HasPrefix(string(s.Data["tls.crt"]), "-----BEGIN") && len(s.Data["ca.crt"]) > 0
		}
	}
	settled := func() bool {
		s := secret(conversionruntime.CASecretName)
		if w.client.Get(w.Context(), client.ObjectKeyFromObject(s), s) != nil {
			return false
		}
		c := w.crd().Spec.Conversion
		return c.Strategy == apiextensionsv1.WebhookConverter && c.Webhook.ClientConfig.URL != nil &&
			string(c.Webhook.ClientConfig.CABundle) == string(s.Data["ca.crt"]) && len(s.Data["ca.crt"]) > 0
	}
	for _, damage := range []struct {
		name     string
		do       func()
		repaired func() bool
	}{
		{"the Service is deleted", func() { require.NoError(w, w.client.Delete(w.Context(), service())) }, func() bool { return !w.absent(service()) }},
		{"the Service selects something else", func() { w.patch(service(), `{"spec":{"selector":{"app":"other"}}}`) }, func() bool {
			s := service()
			return w.client.Get(w.Context(), client.ObjectKeyFromObject(s), s) == nil && len(s.Spec.Selector) == 1 && s.Spec.Selector["app"] == ""
		}},
		{"the Service is a headless one", func() {
			require.NoError(w, w.client.Delete(w.Context(), service()))
			headless := service()
			headless.Spec = corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Port: 1}}}
			_ = w.client.Create(w.Context(), headless) // the operator may be faster
		}, func() bool {
			s := service()
			return w.client.Get(w.Context(), client.ObjectKeyFromObject(s), s) == nil && s.Spec.ClusterIP != corev1.ClusterIPNone && s.Spec.Ports[0].Port == 9090
		}},
		{"the Deployment is deleted", func() { require.NoError(w, w.client.Delete(w.Context(), deployment())) }, func() bool { return w.managed(ns) }},
		{"the Deployment is scaled to nothing and runs another image", func() {
			w.patch(deployment(), `{"spec":{"replicas":0,"paused":true,"template":{"spec":{"nodeSelector":{"no":"where"}}}}}`)
		}, func() bool {
			d := deployment()
			return w.client.Get(w.Context(), client.ObjectKeyFromObject(d), d) == nil && *d.Spec.Replicas == 2 && !d.Spec.Paused &&
				len(d.Spec.Template.Spec.NodeSelector) == 0
		}},
		{"the Deployment has no manager: an orphan", func() {
			w.patch(deployment(), `{"metadata":{"annotations":{"datapower.ibm.com/managed-by":null}}}`)
		}, func() bool { return w.managed(ns) }},
		{"the binding is that of somebody else", func() {
			w.patch(&rbacv1.ClusterRoleBinding{ObjectMeta: meta("", conversionruntime.AccountName)}, `{"subjects":[]}`)
		}, func() bool {
			b := &rbacv1.ClusterRoleBinding{ObjectMeta: meta("", conversionruntime.AccountName)}
			return w.client.Get(w.Context(), client.ObjectKeyFromObject(b), b) == nil && len(b.Subjects) == 1
		}},
		{"the Secret of the leaf is deleted", func() {
			require.NoError(w, w.client.Delete(w.Context(), secret(conversionruntime.SecretName)))
		}, whole(conversionruntime.SecretName)},
		{"the Secret of the leaf is damaged", func() {
			w.patch(secret(conversionruntime.SecretName), `{"data":{"tls.crt":"bm9uZQ=="}}`)
		}, whole(conversionruntime.SecretName)},
		{"the Secret of the CA is deleted", func() {
			require.NoError(w, w.client.Delete(w.Context(), secret(conversionruntime.CASecretName)))
		}, settled},
		{"both Secrets are deleted", func() {
			require.NoError(w, w.client.Delete(w.Context(), secret(conversionruntime.CASecretName)))
			require.NoError(w, w.client.Delete(w.Context(), secret(conversionruntime.SecretName)))
		}, settled},
		{"the bundle of the definition is another CA's", func() {
			// The API server refuses text that is no certificate.
			foreign, err := pki.NewCA("somebody else", time.Now(), pki.DefaultPolicy())
			require.NoError(w, err)
			w.patch(definition(), `{"spec":{"conversion":{"webhook":{"clientConfig":{"caBundle":"`+base64.StdEncoding.EncodeToString(foreign.Cert)+`"}}}}}`)
		}, settled},
		{"the bundle of the definition is empty", func() {
			w.patch(definition(), `{"spec":{"conversion":{"webhook":{"clientConfig":{"caBundle":null}}}}}`)
		}, settled},
		{"the stanza is removed", func() { w.patch(definition(), `{"spec":{"conversion":{"strategy":"None","webhook":null}}}`) }, settled},
		{"the stanza leads elsewhere", func() {
			w.patch(definition(), `{"spec":{"conversion":{"webhook":{"clientConfig":{"url":null,"service":{"namespace":"default","name":"changeme","port":9090}}}}}}`)
		}, settled},
		{"the definition is applied anew", func() { w.install(nil) }, settled},
	} {
		started := time.Now()
		damage.do()
		w.eventually(damage.name+": repaired", damage.repaired)
		w.eventually(damage.name+": settled", settled)
		w.eventually(damage.name+": conversion works", func() bool { return w.converts(gateways, "old") })
		w.Logf("%s: well again after %s", damage.name, time.Since(started).Round(10*time.Millisecond))
	}
}

// idle looks at what the sidecars ask of the API server in a while.
func (w *world) idle() {
	w.Helper()
	count := func() (asked []string) {
		file, err := os.Open(w.cluster.AuditLogPath())
		require.NoError(w, err)
		defer func() { _ = file.Close() }()
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var event struct {
				UserAgent, Verb, RequestURI string
				Stage                       string
			}
			if json.Unmarshal(lines.Bytes(), &event) == nil && strings.Contains(event.UserAgent, "sidecar") && event.Verb != "watch" && event.Stage == "ResponseComplete" {
				asked = append(asked, event.Verb+" "+event.RequestURI)
			}
		}
		require.NoError(w, lines.Err())
		return asked
	}
	// What is begun comes to an end first: a rotation of the CA drops the old one only when some time has passed.
	w.eventually("one CA is left", func() bool {
		s := &corev1.Secret{ObjectMeta: meta("operators-a", conversionruntime.CASecretName)}
		return w.client.Get(w.Context(), client.ObjectKeyFromObject(s), s) == nil && bytes.Count(s.Data["ca.crt"], []byte("BEGIN CERTIFICATE")) == 1
	})
	before := count()
	w.eventually("quiet", func() bool {
		time.Sleep(3 * time.Second)
		now := count()
		quiet := len(now) == len(before)
		before = now
		return quiet
	})
	require.NotEmpty(w, before, "the audit log shows the sidecars")
	time.Sleep(10 * time.Second)
	assert.Empty(w, count()[len(before):], "no read and no write in steady state")
}
