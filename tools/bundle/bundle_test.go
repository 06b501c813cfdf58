package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/operator-framework/api/pkg/manifests"
	"github.com/operator-framework/api/pkg/operators/v1alpha1"
	"github.com/operator-framework/api/pkg/validation"
	interfaces "github.com/operator-framework/api/pkg/validation/interfaces"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
)

const repository = "../.."

// made makes a bundle, by digest as for a release, and loads it as OLM's tools do.
func made(t *testing.T, args ...string) (*manifests.Bundle, string) {
	t.Helper()
	folder := t.TempDir()
	bundle := filepath.Join(folder, "bundle")
	args = append([]string{"--repository=" + repository, "--output=" + bundle, "--catalog=" + filepath.Join(folder, "catalog"), "--version=0.1.0"}, args...)
	if err := run(args); err != nil {
		t.Fatal(err)
	}
	loaded, err := manifests.GetBundleFromDir(bundle)
	if err != nil {
		t.Fatal(err)
	}
	return loaded, folder
}

// justified are the warnings of validators that are meant to be, each with its reason.
var justified = map[string]string{
	"CSV contains permissions to create CRD": "the operator patches spec.conversion of its one definition, by name, and creates none",
	"removed in v1.25":                       "the validator takes rules by the resource's name only: events, endpointslices and others are used in their present versions",
	`"operatorhub" validator is deprecated`:  "its successors run, too",
}

// All but the validator of architectures, which pulls images with a container engine.
func TestEveryValidatorAccepts(t *testing.T) {
	bundle, _ := made(t, "--image=registry.example.com/datapower-operator@sha256:"+strings.Repeat("0", 64))
	validators := map[string]interfaces.Validator{
		"csv": validation.ClusterServiceVersionValidator, "crd": validation.CustomResourceDefinitionValidator, "bundle": validation.BundleValidator,
		"operatorhub": validation.OperatorHubV2Validator,
		"categories":  validation.StandardCategoriesValidator, "capabilities": validation.StandardCapabilitiesValidator,
		"object": validation.ObjectValidator, "deprecated APIs": validation.AlphaDeprecatedAPIsValidator,
		"good practices": validation.GoodPracticesValidator, "community": validation.CommunityOperatorValidator,
	}
	for name, validator := range validators {
		t.Run(name, func(t *testing.T) {
			for _, result := range validator.Validate(bundle.ObjectsToValidate()...) {
				for _, problem := range result.Errors {
					t.Errorf("%s", problem)
				}
				for _, problem := range result.Warnings {
					known := slices.ContainsFunc(sortedKeys(justified), func(text string) bool { return strings.Contains(problem.Error(), text) })
					if !known {
						t.Errorf("a warning without a reason: %s", problem)
					}
				}
			}
		})
	}
}

func sortedKeys(m map[string]string) []string {
	var out []string
	for key := range m {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

func TestAValidatorFindsWhatIsMissing(t *testing.T) {
	bundle, _ := made(t)
	bundle.CSV.Spec.CustomResourceDefinitions.Owned = bundle.CSV.Spec.CustomResourceDefinitions.Owned[:1]
	for _, result := range validation.BundleValidator.Validate(bundle.ObjectsToValidate()...) {
		if result.HasError() {
			return
		}
	}
	t.Error("a kind that is not described must be an error, or the test above could not fail")
}

// The static tests of `operator-sdk scorecard`.
func TestWhatTheScorecardLooksAt(t *testing.T) {
	bundle, _ := made(t)
	var examples []map[string]any
	if err := json.Unmarshal([]byte(bundle.CSV.Annotations["alm-examples"]), &examples); err != nil {
		t.Fatal(err)
	}
	exemplified := map[string]map[string]any{}
	for _, example := range examples {
		if example["spec"] == nil {
			t.Errorf("basic-check-spec: an example has no spec: %v", example)
		}
		exemplified[example["kind"].(string)+" "+example["apiVersion"].(string)] = example
	}
	for _, crd := range definitions(t, bundle) {
		for _, v := range crd.Spec.Versions {
			kind := crd.Spec.Names.Kind + " " + crd.Spec.Group + "/" + v.Name
			schema := v.Schema.OpenAPIV3Schema
			d := described(t, bundle, crd.Name, v.Name)
			if exemplified[kind] == nil {
				t.Errorf("%s has no example", kind)
			}
			if len(schema.Properties["spec"].Properties) == 0 || len(schema.Properties["status"].Properties) == 0 {
				t.Errorf("olm-crds-have-validation: %s", kind)
			}
			if len(d.Resources) == 0 {
				t.Errorf("olm-crds-have-resources: %s", kind)
			}
			for field := range schema.Properties["spec"].Properties {
				if !slices.ContainsFunc(d.SpecDescriptors, func(s v1alpha1.SpecDescriptor) bool {
					return s.Path == field && s.Description != "" && s.DisplayName != ""
				}) {
					t.Errorf("olm-spec-descriptors: %s: %s", kind, field)
				}
			}
			for field := range schema.Properties["status"].Properties {
				if !slices.ContainsFunc(d.StatusDescriptors, func(s v1alpha1.StatusDescriptor) bool { return s.Path == field && s.Description != "" }) {
					t.Errorf("olm-status-descriptors: %s: %s", kind, field)
				}
			}
		}
	}
}

// An API server that is asked to be strict, and server-side apply, refuse what the definition does not declare.
func TestTheExamplesHaveNoFieldThatTheirVersionDoesNotHave(t *testing.T) {
	bundle, _ := made(t)
	var examples []map[string]any
	if err := json.Unmarshal([]byte(bundle.CSV.Annotations["alm-examples"]), &examples); err != nil {
		t.Fatal(err)
	}
	schemas := map[string]*structural.Structural{}
	for _, crd := range definitions(t, bundle) {
		for _, v := range crd.Spec.Versions {
			internal := &apiextensions.JSONSchemaProps{}
			if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v.Schema.OpenAPIV3Schema, internal, nil); err != nil {
				t.Fatal(err)
			}
			schema, err := structural.NewStructural(internal)
			if err != nil {
				t.Fatal(err)
			}
			schemas[crd.Spec.Names.Kind+" "+crd.Spec.Group+"/"+v.Name] = schema
		}
	}
	for _, example := range examples {
		kind := example["kind"].(string) + " " + example["apiVersion"].(string)
		unknown := pruning.PruneWithOptions(example, schemas[kind], true, structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
		if len(unknown) > 0 {
			t.Errorf("%s: %v", kind, unknown)
		}
	}
}

func definitions(t *testing.T, bundle *manifests.Bundle) []*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	if len(bundle.V1CRDs) != 2 {
		t.Fatalf("%d definitions", len(bundle.V1CRDs))
	}
	return bundle.V1CRDs
}

func described(t *testing.T, bundle *manifests.Bundle, name, version string) v1alpha1.CRDDescription {
	t.Helper()
	for _, d := range bundle.CSV.Spec.CustomResourceDefinitions.Owned {
		if d.Name == name && d.Version == version {
			return d
		}
	}
	t.Fatalf("%s %s is not described", name, version)
	return v1alpha1.CRDDescription{}
}

func TestTheOperatorInTheBundleIsThatOfTheManifests(t *testing.T) {
	image := "registry.example.com/datapower-operator@sha256:" + strings.Repeat("0", 64)
	bundle, _ := made(t, "--image="+image, "--replaces=0.0.9")
	csv := bundle.CSV
	for _, mode := range csv.Spec.InstallModes {
		if !mode.Supported {
			t.Errorf("install mode %s", mode.Type)
		}
	}
	if len(csv.Spec.InstallModes) != 4 || len(csv.Spec.WebhookDefinitions) != 0 {
		t.Error("all four modes, and webhooks that the operator manages: with a conversion webhook OLM allows one mode only")
	}
	for _, crd := range bundle.V1CRDs {
		if crd.Spec.Conversion != nil && crd.Spec.Conversion.Strategy == apiextensionsv1.WebhookConverter {
			t.Errorf("%s: OLM would take back what the operator registers", crd.Name)
		}
	}
	if csv.Spec.Replaces != "datapower-operator.v0.0.9" || csv.Spec.RelatedImages[0].Image != image {
		t.Errorf("replaces %q, related %v", csv.Spec.Replaces, csv.Spec.RelatedImages)
	}
	strategy := csv.Spec.InstallStrategy.StrategySpec
	for _, container := range strategy.DeploymentSpecs[0].Spec.Template.Spec.Containers {
		if container.Image != image {
			t.Errorf("%s runs %s", container.Name, container.Image)
		}
		watch := ""
		for _, variable := range container.Env {
			if variable.Name == "WATCH_NAMESPACE" && variable.ValueFrom != nil {
				watch = variable.ValueFrom.FieldRef.FieldPath
			}
		}
		if watch != "metadata.annotations['olm.targetNamespaces']" {
			t.Errorf("%s watches what %q says", container.Name, watch)
		}
	}
	for _, permissions := range append(strategy.Permissions, strategy.ClusterPermissions...) {
		text, err := json.Marshal(permissions)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "*") || strings.Contains(string(text), namespace) {
			t.Errorf("a wildcard, or a namespace that the user may not have chosen: %s", text)
		}
	}
}

func TestTheImagesLabelsAreTheAnnotations(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, "bundle.Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range annotations() {
		if !strings.Contains(string(text), "LABEL "+key+"="+value+"\n") {
			t.Errorf("bundle.Dockerfile has no label %s=%s", key, value)
		}
	}
}

func TestTheCatalogueNamesTheBundle(t *testing.T) {
	_, folder := made(t, "--bundle-image=registry.example.com/bundle@sha256:"+strings.Repeat("1", 64), "--replaces=0.0.9")
	blobs, err := readCatalogue(filepath.Join(folder, "catalog", packageName, "catalog.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	schemas := map[any]blob{}
	for _, b := range blobs {
		schemas[b["schema"]] = b
	}
	entry := schemas[schemaChannel]["entries"].([]any)[0].(map[string]any)
	if schemas[schemaPackage]["defaultChannel"] != schemas[schemaChannel]["name"] || entry["name"] != schemas[schemaBundle]["name"] {
		t.Errorf("package, channel and bundle do not belong together: %v", entry)
	}
	if entry["replaces"] != "datapower-operator.v0.0.9" || !strings.HasSuffix(schemas[schemaBundle]["image"].(string), strings.Repeat("1", 64)) {
		t.Errorf("entry %v", entry)
	}
}

func TestTheCatalogueKeepsEarlierVersions(t *testing.T) {
	folder := t.TempDir()
	release := func(args ...string) error {
		return run(append([]string{"--repository=" + repository, "--output=" + filepath.Join(folder, "bundle"), "--catalog=" + folder}, args...))
	}
	for range 2 { // made again, a version is there once
		for _, args := range [][]string{{"--version=0.1.0", "--bundle-image=first"}, {"--version=0.1.1", "--bundle-image=second", "--replaces=0.1.0"}} {
			if err := release(args...); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := release("--version=0.1.2"); err == nil || !strings.Contains(err.Error(), "nothing replaces datapower-operator.v0.1.1 and datapower-operator.v0.1.2") {
		t.Errorf("a channel with two ends: %v", err)
	}
	blobs, err := readCatalogue(filepath.Join(folder, packageName, "catalog.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var images []any
	var entries []any
	for _, b := range blobs {
		switch b["schema"] {
		case schemaBundle:
			images = append(images, b["image"])
		case schemaChannel:
			entries = append(entries, b["entries"].([]any)...)
		}
	}
	if !slices.Equal(images, []any{"first", "second"}) {
		t.Errorf("bundles: %v", images)
	}
	text, err := json.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	if want := `[{"name":"datapower-operator.v0.1.0"},{"name":"datapower-operator.v0.1.1","replaces":"datapower-operator.v0.1.0"}]`; string(text) != want {
		t.Errorf("entries: %s", text)
	}
}

func TestTwoBundlesAreEqual(t *testing.T) {
	_, first := made(t)
	_, second := made(t)
	err := filepath.WalkDir(first, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		a, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(filepath.Join(second, strings.TrimPrefix(path, first)))
		if err == nil && string(a) != string(b) {
			t.Errorf("%s differs", strings.TrimPrefix(path, first))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheCapabilityLevelIsTheOneThatTheDocumentProves(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, "docs", "capability-levels.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "The bundle claims **"+capabilities+"**") {
		t.Errorf("docs/capability-levels.md does not claim %s", capabilities)
	}
}
