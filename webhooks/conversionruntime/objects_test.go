package conversionruntime

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/webhooks/pki"
)

func desired() *appsv1.Deployment {
	return builder{self: Operator{"operators", OperatorName}, owner: ownerOf("crd-uid")}.deployment(
		PodSpec{Image: "operator:1", Command: []string{"/sidecar", "conversion-webhook"}})
}

func TestThePodsSatisfyTheRestrictedPodSecurityStandard(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	require.NoError(t, err)
	pod := desired().Spec.Template
	results := evaluator.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, &pod.ObjectMeta, &pod.Spec)
	for _, result := range results {
		assert.True(t, result.Allowed, "%s: %s", result.ForbiddenReason, result.ForbiddenDetail)
	}
	assert.Equal(t, ptr.To(false), pod.Spec.AutomountServiceAccountToken, "a conversion needs no API server")
}

func TestTheDeploymentServesWhatTheServiceAndTheStanzaName(t *testing.T) {
	d := desired()
	service := builder{self: Operator{"operators", OperatorName}}.service()
	assert.Equal(t, d.Spec.Selector.MatchLabels, service.Spec.Selector)
	for key, value := range service.Spec.Selector {
		assert.Equal(t, value, d.Spec.Template.Labels[key])
	}
	assert.EqualValues(t, 9090, service.Spec.Ports[0].Port)
	assert.Equal(t, "operators/datapower-operator", d.Annotations["datapower.ibm.com/managed-by"])
	assert.Equal(t, "datapower-operator-conversion-webhook", d.Name)
	assert.Equal(t, "datapower-conversion-key-cert", d.Spec.Template.Spec.Volumes[0].Secret.SecretName)
	stanza := endpoint{namespace: "operators"}.stanza([]byte("ca"))
	assert.Equal(t, &apiextensionsv1.CustomResourceConversion{Strategy: "Webhook", Webhook: &apiextensionsv1.WebhookConversion{
		ConversionReviewVersions: []string{"v1", "v1beta1"},
		ClientConfig: &apiextensionsv1.WebhookClientConfig{CABundle: []byte("ca"), Service: &apiextensionsv1.ServiceReference{
			Namespace: "operators", Name: "datapower-operator-conversion-webhook", Path: ptr.To("/convert"), Port: ptr.To[int32](9090)}},
	}}, stanza)
	assert.True(t, endpoint{namespace: "operators"}.leadsTo(stanza))
	assert.False(t, endpoint{namespace: "others"}.leadsTo(stanza))
	assert.False(t, endpoint{url: "https://127.0.0.1:1/convert"}.leadsTo(stanza))
	assert.False(t, endpoint{namespace: "operators"}.leadsTo(nil))
	assert.False(t, endpoint{namespace: "operators"}.leadsTo(&apiextensionsv1.CustomResourceConversion{Strategy: "None"}))
}

func TestThePatchOfTheStanzaRemovesTheOtherWay(t *testing.T) {
	for name, tc := range map[string]struct {
		endpoint endpoint
		null     string
	}{
		"a URL removes the Service": {endpoint{url: "https://127.0.0.1:1/convert"}, "service"},
		"a Service removes the URL": {endpoint{namespace: "n"}, "url"},
	} {
		t.Run(name, func(t *testing.T) {
			patch, err := tc.endpoint.patch("7", []byte("ca"))
			require.NoError(t, err)
			var got struct {
				Metadata struct{ ResourceVersion string }
				Spec     struct {
					Conversion struct {
						Webhook struct{ ClientConfig map[string]any }
					}
				}
			}
			require.NoError(t, json.Unmarshal(patch, &got))
			value, present := got.Spec.Conversion.Webhook.ClientConfig[tc.null]
			assert.True(t, present)
			assert.Nil(t, value)
			assert.Equal(t, "7", got.Metadata.ResourceVersion)
		})
	}
}

func TestABundleGrowsByWhatIsTrustedAndKeepsWhatIsNew(t *testing.T) {
	ca := func(name string) string {
		pair, err := pki.NewCA(name, time.Now(), pki.DefaultPolicy())
		require.NoError(t, err)
		return string(pair.Cert)
	}
	old, fresh := ca("old"), ca("new")
	assert.Equal(t, fresh+old, string(union([]byte(fresh), []byte(old))))
	assert.Equal(t, fresh+old, string(union([]byte(fresh+old), []byte(old))), "each once")
	assert.Equal(t, fresh, string(union([]byte(fresh), []byte("nonsense"))))
	assert.Equal(t, fresh, string(union([]byte(fresh), nil)))
	assert.True(t, trusts([]byte(fresh+old), []byte(fresh)))
	assert.False(t, trusts([]byte(old), []byte(fresh)))
	assert.False(t, trusts(nil, []byte(fresh)))
	assert.False(t, trusts([]byte("nonsense"), []byte(fresh)))
	many := ""
	for range maxBundle + 3 {
		many += ca("one of many")
	}
	assert.Equal(t, maxBundle, strings.Count(string(union([]byte(fresh), []byte(many))), "BEGIN"))
}

func TestWhatOthersRightlySetIsKept(t *testing.T) {
	live := desired()
	live.UID, live.ResourceVersion = "u", "5"
	live.Annotations["deployment.kubernetes.io/revision"] = "3"
	live.Spec.Template.Annotations = map[string]string{"kubectl.kubernetes.io/restartedAt": "now"}
	want := desired()
	assert.True(t, overlayMeta(want, live), "nothing is missing")
	overlay(want, live)
	assert.Equal(t, "3", want.Annotations["deployment.kubernetes.io/revision"])
	assert.Equal(t, "now", want.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"])

	for name, damage := range map[string]func(*appsv1.Deployment){
		"the owner is gone":                    func(d *appsv1.Deployment) { d.OwnerReferences = nil },
		"the owner is that of another cluster": func(d *appsv1.Deployment) { d.OwnerReferences[0].UID = "other" },
		"a label is gone":                      func(d *appsv1.Deployment) { delete(d.Labels, nameLabel) },
		"the manager is another":               func(d *appsv1.Deployment) { d.Annotations[ManagedByAnnotation] = "x/y" },
	} {
		t.Run(name, func(t *testing.T) {
			damaged, want := live.DeepCopy(), desired()
			damage(damaged)
			assert.False(t, overlayMeta(want, damaged))
			assert.Equal(t, []metav1.OwnerReference{ownerOf("crd-uid")}, want.OwnerReferences)
		})
	}
}

func TestImmutableFieldsMakeAnObjectAnew(t *testing.T) {
	build := builder{self: Operator{"operators", OperatorName}}
	other := desired()
	other.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "other"}}
	headless, external, binding := build.service(), build.service(), build.clusterRoleBinding()
	headless.Spec.ClusterIP = corev1.ClusterIPNone
	external.Spec.Type = corev1.ServiceTypeExternalName
	binding.RoleRef.Name = "cluster-admin"
	for _, tc := range []struct {
		desired, live client.Object
		replace       bool
	}{
		{desired(), desired(), false}, {desired(), other, true}, {build.service(), build.service(), false},
		{build.service(), headless, true}, {build.service(), external, true}, {build.clusterRoleBinding(), binding, true},
		{build.clusterRole(), build.clusterRole(), false},
	} {
		assert.Equal(t, tc.replace, mustReplace(tc.desired, tc.live), "%T", tc.desired)
	}
}

func TestTheCommandToDeleteIsThatOfKubectl(t *testing.T) {
	assert.Equal(t, "kubectl delete clusterrolebinding/dpop-conv-webhook", deleteCommand(&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: AccountName}}))
	assert.Equal(t, "kubectl delete -n old secret/datapower-conversion-key-cert",
		deleteCommand(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "old", Name: SecretName}}))
}

func TestOptionsThatContradictAreRefused(t *testing.T) {
	for name, options := range map[string]Options{
		"no namespace":               {Deployment: true, Command: []string{"x"}},
		"nothing to serve":           {Namespace: "n"},
		"no command":                 {Namespace: "n", Deployment: true},
		"listening at every address": {Namespace: "n", Local: &Local{Address: "[::]:9090"}},
		"listening at what is no IP": {Namespace: "n", Local: &Local{Address: "localhost:9090"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(options)
			require.ErrorIs(t, err, ErrOptions)
		})
	}
}
