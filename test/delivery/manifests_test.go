// Package delivery_test looks at what users install: the manifests of config/, by their text and on a real API server, with the
// programs running under the rights that the manifests give and no others.
package delivery_test

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const (
	repository = "../.."
	system     = "datapower-system"
)

// overlays are the ways to install the operator with kubectl apply -k.
var overlays = []string{"default", "install-modes/own-namespace", "install-modes/namespaces"}

// built is a kustomization of config/ as objects.
func built(t *testing.T, name string) []*unstructured.Unstructured {
	t.Helper()
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(repository, "config", name))
	require.NoError(t, err)
	text, err := made.AsYaml()
	require.NoError(t, err)
	return objects(t, text)
}

// objects reads all objects of a YAML text.
func objects(t *testing.T, text []byte) []*unstructured.Unstructured {
	t.Helper()
	var out []*unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if err == io.EOF {
			return out
		}
		require.NoError(t, err)
		if len(object.Object) > 0 {
			out = append(out, object)
		}
	}
}

// as gives an object its type, strictly.
func as[T any](t *testing.T, object *unstructured.Unstructured) *T {
	t.Helper()
	var out T
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, &out, true), object.GetName())
	return &out
}

func deployment(t *testing.T, all []*unstructured.Unstructured) *appsv1.Deployment {
	t.Helper()
	at := slices.IndexFunc(all, func(o *unstructured.Unstructured) bool { return o.GetKind() == "Deployment" })
	require.GreaterOrEqual(t, at, 0, "a Deployment")
	return as[appsv1.Deployment](t, all[at])
}

// rulesOf are the rules of the roles with a name, or of all.
func rulesOf(t *testing.T, all []*unstructured.Unstructured, keep func(*unstructured.Unstructured) bool) []rbacv1.PolicyRule {
	t.Helper()
	var out []rbacv1.PolicyRule
	for _, object := range all {
		if (object.GetKind() == "ClusterRole" || object.GetKind() == "Role") && keep(object) {
			out = append(out, as[rbacv1.ClusterRole](t, &unstructured.Unstructured{Object: map[string]any{
				"metadata": object.Object["metadata"], "rules": object.Object["rules"],
			}}).Rules...)
		}
	}
	return out
}

// right is one verb on one resource, with a name where the right is for that name only.
type right struct{ group, resource, name, verb string }

func (r right) String() string {
	return strings.TrimSuffix(fmt.Sprintf("%s %s.%s/%s", r.verb, r.resource, r.group, r.name), "/")
}

// rights are those of rules, one by one.
func rights(rules []rbacv1.PolicyRule) map[right]bool {
	out := map[right]bool{}
	for _, rule := range rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, name := range names {
					for _, verb := range rule.Verbs {
						out[right{group, resource, name, verb}] = true
					}
				}
			}
		}
	}
	return out
}

// grants tells whether the rights allow one.
func grants(held map[right]bool, wanted right) bool {
	anyName := wanted
	anyName.name = ""
	return held[wanted] || held[anyName]
}

// operators tells of a role that the operator itself has.
func operators(o *unstructured.Unstructured) bool {
	return !slices.Contains([]string{"datapower-operator-edit", "datapower-operator-view", "datapower-operator-metrics-reader"}, o.GetName())
}

func TestNoRoleHasAWildcard(t *testing.T) {
	for _, rule := range rulesOf(t, built(t, "default"), func(*unstructured.Unstructured) bool { return true }) {
		for _, words := range [][]string{rule.APIGroups, rule.Resources, rule.Verbs, rule.ResourceNames, rule.NonResourceURLs} {
			assert.NotContains(t, strings.Join(words, " "), "*")
		}
		assert.NotContains(t, rule.Verbs, "escalate")
		assert.NotContains(t, rule.Verbs, "bind")
		assert.NotContains(t, rule.Verbs, "impersonate")
	}
}

// The roles beside the programs are what their own tests run them with: a right that is missed there is seen there.
func TestTheOperatorHasTheRightsThatItsProgramsAskFor(t *testing.T) {
	held := rights(rulesOf(t, built(t, "default"), operators))
	for _, file := range []string{"sidecar/testdata/role.yaml", "helm-operator/testdata/role-exposedapi.yaml"} {
		text, err := os.ReadFile(filepath.Join(repository, "cmd", file))
		require.NoError(t, err)
		// Names that begin with the role's own name and the namespace differ between a test and an installation.
		text = bytes.ReplaceAll(text, []byte("resourceNames: [sidecar]"), []byte("resourceNames: [datapower-system.datapower-operator]"))
		for wanted := range rights(rulesOf(t, objects(t, text), operators)) {
			assert.True(t, grants(held, wanted), "%s needs %s", file, wanted)
		}
	}
}

func TestEachModeWatchesWhatItMayWorkOn(t *testing.T) {
	for overlay, want := range map[string]struct{ watched, bound string }{
		"default":                     {"", "the cluster"},
		"install-modes/own-namespace": {"datapower-system", "datapower-system"},
		"install-modes/namespaces":    {"team-a,team-b", "team-a,team-b"},
	} {
		t.Run(overlay, func(t *testing.T) {
			all := built(t, overlay)
			for _, container := range deployment(t, all).Spec.Template.Spec.Containers {
				at := slices.IndexFunc(container.Env, func(e corev1.EnvVar) bool { return e.Name == "WATCH_NAMESPACE" })
				require.GreaterOrEqual(t, at, 0)
				assert.Equal(t, want.watched, container.Env[at].Value, container.Name)
			}
			var bound []string
			for _, object := range all {
				role, _, _ := unstructured.NestedString(object.Object, "roleRef", "name")
				switch {
				case role != "datapower-system.datapower-operator-watched":
				case object.GetKind() == "ClusterRoleBinding":
					bound = append(bound, "the cluster")
				default:
					bound = append(bound, object.GetNamespace())
				}
			}
			assert.Equal(t, want.bound, strings.Join(bound, ","))
		})
	}
}

// printed is what hack/manifests.sh makes of settings.
func printed(t *testing.T, settings ...string) []*unstructured.Unstructured {
	t.Helper()
	bin := os.Getenv("DATAPOWER_CLUSTER_BIN")
	if bin == "" {
		t.Skip("DATAPOWER_CLUSTER_BIN is not set: there is no kubectl")
	}
	cmd := exec.Command(filepath.Join(repository, "hack", "manifests.sh"))
	cmd.Env = append(append(os.Environ(), "KUBECTL="+filepath.Join(bin, "kubectl")), settings...)
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	require.NoError(t, err)
	return objects(t, text)
}

// lines is each object as JSON.
func lines(t *testing.T, all []*unstructured.Unstructured) []string {
	t.Helper()
	var out []string
	for _, object := range all {
		text, err := object.MarshalJSON()
		require.NoError(t, err)
		out = append(out, string(text))
	}
	return out
}

func TestOneSettingGivesEachMode(t *testing.T) {
	for overlay, setting := range map[string]string{
		"default": "", "install-modes/own-namespace": "datapower-system", "install-modes/namespaces": "team-a,team-b",
	} {
		assert.ElementsMatch(t, lines(t, built(t, overlay)), lines(t, printed(t, "WATCH_NAMESPACE="+setting)), overlay)
	}
}

func TestAnotherNamespaceIsMeantEverywhere(t *testing.T) {
	all := printed(t, "NAMESPACE=gateways-operator", "WATCH_NAMESPACE=team-a", "IMAGE=registry:5000/dp@sha256:"+strings.Repeat("a", 64))
	assert.NotContains(t, strings.Join(lines(t, all), ""), system)
	for _, container := range deployment(t, all).Spec.Template.Spec.Containers {
		assert.Equal(t, "registry:5000/dp@sha256:"+strings.Repeat("a", 64), container.Image)
	}
	var names []string
	for _, object := range all {
		if object.GetNamespace() == "" {
			names = append(names, object.GetName())
		}
	}
	assert.Contains(t, names, "gateways-operator.datapower-operator", "cluster-scoped objects of two operators have two names")
}

// meant are findings of kube-score that are as they should be, each with its reason.
var meant = map[string]string{
	"ImagePullPolicy is not set to Always":            "the image is named by a digest or a version that does not move; nodes without a registry load it",
	"The NetworkPolicys selector doesn't match any":   "the operator makes the pods of the conversion webhook",
	"metrics-helm-leader/datapower-system v1/Service": "the operator marks the leader's pod",
	"metrics-leader/datapower-system v1/Service":      "the operator marks the leader's pod",
}

func TestKubeScoreFindsNothingCritical(t *testing.T) {
	program, err := filepath.Abs(filepath.Join(repository, "bin", "kube-score"))
	require.NoError(t, err)
	if _, err := os.Stat(program); err != nil {
		t.Skip("bin/kube-score is not built (make test builds it)")
	}
	criticals := func(all []*unstructured.Unstructured) []string {
		cmd := exec.Command(program, "score", "--output-format=ci", "-")
		cmd.Stdin = strings.NewReader(strings.Join(lines(t, all), "\n---\n"))
		out, _ := cmd.Output() // fails when there is anything critical
		require.Contains(t, string(out), "[OK] datapower-operator/datapower-system apps/v1/Deployment")
		var found []string
		for line := range strings.Lines(string(out)) {
			known := slices.ContainsFunc(slices.Collect(maps.Keys(meant)), func(text string) bool { return strings.Contains(line, text) })
			if strings.HasPrefix(line, "[CRITICAL]") && !known {
				found = append(found, line)
			}
		}
		return found
	}
	all := built(t, "default")
	assert.Empty(t, criticals(all))
	for _, object := range all {
		if object.GetKind() == "Deployment" {
			unstructured.RemoveNestedField(object.Object, "spec", "template", "spec", "securityContext")
			containers, _, _ := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
			delete(containers[0].(map[string]any), "resources")
			require.NoError(t, unstructured.SetNestedSlice(object.Object, containers, "spec", "template", "spec", "containers"))
		}
	}
	assert.NotEmpty(t, criticals(all), "a container without limits must be found, or this test could not fail")
}
