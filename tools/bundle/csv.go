package main

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/blang/semver/v4"
	"github.com/operator-framework/api/pkg/lib/version"
	"github.com/operator-framework/api/pkg/operators/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

const (
	source  = "https://github.com/datapower-operator/datapower-operator"
	summary = "Runs IBM DataPower Gateways on Kubernetes and keeps their peering healthy."
	// capabilities is claimed as far as docs/capability-levels.md proves it.
	capabilities = "Seamless Upgrades"
	// created is the time of the release, which has to be told and must not be that of the build: builds are reproducible.
	created = "2026-11-21T00:00:00Z"
)

const description = `A ` + "`DataPowerService`" + ` becomes a StatefulSet of IBM DataPower Gateways with Services, configuration and a
` + "`DataPowerMonitor`" + `, which watches the pods and resets gateway peering that lists members which are gone.

* three versions of the API, converted without loss
* defaults, validation and messages that say what to do
* drift is repaired as soon as it happens; while nothing happens, nothing is asked of the API server
* metrics over HTTPS, alerts, dashboards

The gateways themselves need a licence from IBM: ` + "`spec.license.accept: true`" + ` says that you have read it.

## Before you install

Nothing has to be installed before. Webhook certificates and conversion between the versions are managed by the operator, in
every install mode.`

// csvOf is the ClusterServiceVersion, without what only OLM writes.
func csvOf(o options, s sources) (map[string]any, error) {
	strategy, image, err := strategyOf(o, s)
	if err != nil {
		return nil, err
	}
	examples, err := json.MarshalIndent(s.samples, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing alm-examples: %w", err)
	}
	number, err := semver.Parse(o.version)
	if err != nil {
		return nil, fmt.Errorf("--version %q: %w", o.version, err)
	}
	owned, err := ownedOf(s)
	if err != nil {
		return nil, err
	}
	csv := &v1alpha1.ClusterServiceVersion{}
	csv.Kind, csv.APIVersion = v1alpha1.ClusterServiceVersionKind, v1alpha1.ClusterServiceVersionAPIVersion
	csv.Name, csv.Namespace = packageName+".v"+o.version, "placeholder"
	csv.Annotations = csvAnnotations(image, string(examples))
	csv.Labels = map[string]string{
		"operatorframework.io/arch.amd64": "supported", "operatorframework.io/arch.arm64": "supported", "operatorframework.io/os.linux": "supported",
	}
	csv.Spec = v1alpha1.ClusterServiceVersionSpec{
		DisplayName: "DataPower Operator (community)", Description: description, Version: version.OperatorVersion{Version: number},
		Maturity: "beta", MinKubeVersion: "1.30.0",
		Keywords:    []string{"datapower", "gateway", "api", "security", "ibm"},
		Maintainers: []v1alpha1.Maintainer{{Name: "DataPower operator maintainers", Email: "maintainers@datapower-operator.example.com"}},
		Provider:    v1alpha1.AppLink{Name: "DataPower operator project", URL: source},
		Links: []v1alpha1.AppLink{
			{Name: "Documentation", URL: source + "/tree/main/docs"}, {Name: "Source", URL: source},
		},
		Icon: []v1alpha1.Icon{{Data: base64.StdEncoding.EncodeToString(s.icon), MediaType: "image/svg+xml"}},
		InstallModes: []v1alpha1.InstallMode{
			{Type: v1alpha1.InstallModeTypeOwnNamespace, Supported: true}, {Type: v1alpha1.InstallModeTypeSingleNamespace, Supported: true},
			{Type: v1alpha1.InstallModeTypeMultiNamespace, Supported: true}, {Type: v1alpha1.InstallModeTypeAllNamespaces, Supported: true},
		},
		InstallStrategy:           v1alpha1.NamedInstallStrategy{StrategyName: v1alpha1.InstallStrategyNameDeployment, StrategySpec: *strategy},
		CustomResourceDefinitions: v1alpha1.CustomResourceDefinitions{Owned: owned},
		RelatedImages:             relatedImages(o, s),
	}
	if o.replaces != "" {
		csv.Spec.Replaces = packageName + ".v" + o.replaces
	}
	return plain(csv)
}

// plain is the object as it is written: without status and without what is empty in every object.
func plain(csv *v1alpha1.ClusterServiceVersion) (map[string]any, error) {
	out, err := runtime.DefaultUnstructuredConverter.ToUnstructured(csv)
	if err != nil {
		return nil, fmt.Errorf("writing the ClusterServiceVersion: %w", err)
	}
	delete(out, "status")
	var clean func(any)
	clean = func(value any) {
		switch v := value.(type) {
		case map[string]any:
			delete(v, "creationTimestamp")
			for _, inner := range v {
				clean(inner)
			}
		case []any:
			for _, inner := range v {
				clean(inner)
			}
		}
	}
	clean(out)
	spec := out["spec"].(map[string]any)
	for _, unused := range []string{"cleanup", "apiservicedefinitions"} {
		delete(spec, unused)
	}
	return out, nil
}

func csvAnnotations(image, examples string) map[string]string {
	return map[string]string{
		"alm-examples": examples, "capabilities": capabilities, "categories": "Networking, Integration & Delivery, Security",
		"containerImage": image, "createdAt": created, "description": summary, "repository": source, "support": source + "/issues",
		"operatorframework.io/suggested-namespace":          namespace,
		"operators.operatorframework.io/project_layout":     "helm.sdk.operatorframework.io/v1",
		"operatorframework.io/suggested-namespace-template": suggestedNamespace(),
		"features.operators.openshift.io/disconnected":      "false",
		"features.operators.openshift.io/fips-compliant":    "false",
		"features.operators.openshift.io/proxy-aware":       "true",
		"features.operators.openshift.io/tls-profiles":      "false",
		"features.operators.openshift.io/token-auth-aws":    "false",
		"features.operators.openshift.io/token-auth-azure":  "false",
		"features.operators.openshift.io/token-auth-gcp":    "false",
	}
}

// suggestedNamespace asks OLM's user interfaces for a namespace with the restricted Pod Security Standard.
func suggestedNamespace() string {
	text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{
		"name": namespace, "labels": map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}})
	if err != nil {
		return "" // cannot be: strings only
	}
	return string(text)
}

// strategyOf is the Deployment and its rights, as config/ installs them but for what OLM decides.
func strategyOf(o options, s sources) (*v1alpha1.StrategyDetailsDeployment, string, error) {
	out := &v1alpha1.StrategyDetailsDeployment{}
	var image string
	for _, installed := range s.installed {
		switch {
		case installed.kind() == "Deployment":
			var d appsv1.Deployment
			if err := typed(installed, &d); err != nil {
				return nil, "", err
			}
			image = forOLM(o, &d.Spec)
			out.DeploymentSpecs = append(out.DeploymentSpecs, v1alpha1.StrategyDeploymentSpec{Name: d.Name, Spec: d.Spec})
		case installed.kind() == "ClusterRole" && installed.name() == namespace+"."+packageName:
			rules, err := rulesOf(installed)
			if err != nil {
				return nil, "", err
			}
			out.ClusterPermissions = append(out.ClusterPermissions, v1alpha1.StrategyDeploymentPermissions{
				ServiceAccountName: packageName, Rules: unnamed(rules),
			})
		case installed.kind() == "Role", installed.kind() == "ClusterRole" && strings.HasPrefix(installed.name(), namespace+"."):
			rules, err := rulesOf(installed)
			if err != nil {
				return nil, "", err
			}
			if len(out.Permissions) == 0 {
				out.Permissions = []v1alpha1.StrategyDeploymentPermissions{{ServiceAccountName: packageName}}
			}
			out.Permissions[0].Rules = append(out.Permissions[0].Rules, rules...)
		}
	}
	if len(out.DeploymentSpecs) != 1 || len(out.Permissions) == 0 || len(out.ClusterPermissions) == 0 {
		return nil, "", fmt.Errorf("config/default has %d Deployments, and not all roles", len(out.DeploymentSpecs))
	}
	return out, image, nil
}

func typed(o object, into any) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o, into, true); err != nil {
		return fmt.Errorf("reading %s %s: %w", o.kind(), o.name(), err)
	}
	return nil
}

func rulesOf(o object) ([]rbacv1.PolicyRule, error) {
	var role rbacv1.Role
	text, err := yaml.Marshal(map[string]any{"rules": o["rules"]})
	if err == nil {
		err = yaml.UnmarshalStrict(text, &role)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the rules of %s: %w", o.name(), err)
	}
	return role.Rules, nil
}

// unnamed takes names off that hold the operator's namespace, which OLM's user chooses. The ClusterRole that owns the webhook
// configurations has a name that OLM makes up: the operator finds it by OLM's labels.
func unnamed(rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	for i, rule := range rules {
		if !slices.ContainsFunc(rule.ResourceNames, func(name string) bool { return strings.HasPrefix(name, namespace+".") }) {
			continue
		}
		rules[i].ResourceNames = nil
		if slices.Equal(rule.Resources, []string{"clusterroles"}) {
			rules[i].Verbs = []string{"list"}
		}
	}
	return rules
}

// forOLM changes what OLM or its user decides, and returns the operator's image.
func forOLM(o options, spec *appsv1.DeploymentSpec) string {
	pod := &spec.Template.Spec
	pod.PriorityClassName = "" // a PriorityClass of the bundle would stay when the operator goes
	image := cmp.Or(o.image, pod.Containers[0].Image)
	for i := range pod.Containers {
		container := &pod.Containers[i]
		container.Image = image
		container.Env = slices.DeleteFunc(container.Env, func(v corev1.EnvVar) bool { return v.Name == "NAMESPACED_NAME" })
		for j, variable := range container.Env {
			if variable.Name == "WATCH_NAMESPACE" {
				container.Env[j] = corev1.EnvVar{Name: variable.Name, ValueFrom: &corev1.EnvVarSource{
					FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.annotations['olm.targetNamespaces']"},
				}}
			}
		}
	}
	return image
}

// relatedImages are all images that the operator may make a cluster pull, as far as they are known by digest, and its own.
func relatedImages(o options, s sources) []v1alpha1.RelatedImage {
	var out []v1alpha1.RelatedImage
	if o.image != "" {
		out = append(out, v1alpha1.RelatedImage{Name: packageName, Image: o.image})
	}
	for i, image := range s.images {
		out = append(out, v1alpha1.RelatedImage{Name: fmt.Sprintf("datapower-%d", i), Image: image})
	}
	return out
}
