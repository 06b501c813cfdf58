package guides

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/test/cluster/clustertest"
)

const root = "../.."

var (
	yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")
	fileName  = regexp.MustCompile(`\A# (\S+\.yaml)\n`)
	applied   = regexp.MustCompile(`kubectl apply -f (\S+)`)
	link      = regexp.MustCompile(`\]\(([^)\s]+)\)`)
)

// guides are the texts of the guides by file name.
func guides(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, "docs/guides/*.md"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	texts := map[string]string{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		texts[filepath.Base(path)] = string(data)
	}
	return texts
}

// objects reads the YAML documents of a text. A field that is written twice is an error.
func objects(t *testing.T, text string) []*unstructured.Unstructured {
	t.Helper()
	var found []*unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096); ; {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return found
		}
		require.NoError(t, err, text)
		found = append(found, object)
	}
}

func TestEveryFileThatAGuideAppliesIsInIt(t *testing.T) {
	for name, text := range guides(t) {
		shown := map[string]bool{}
		for _, block := range yamlBlock.FindAllStringSubmatch(text, -1) {
			file := fileName.FindStringSubmatch(block[1])
			if assert.NotNil(t, file, "%s: a block of YAML does not begin with the name of its file:\n%s", name, block[1]) {
				shown[file[1]] = true
			}
		}
		used := map[string]bool{}
		for _, command := range applied.FindAllStringSubmatch(text, -1) {
			if command[1] != "-" {
				used[command[1]] = true
			}
		}
		assert.Equal(t, shown, used, "%s: files that are shown and files that are applied", name)
	}
}

func TestTheAPIServerTakesWhatGuidesShowAndWhatBecomesOfIt(t *testing.T) {
	c := clustertest.Start(t, cluster.Options{})
	_, err := envtest.InstallCRDs(c.RESTConfig(), envtest.CRDInstallOptions{
		Paths: []string{filepath.Join(root, "config/crd/bases"), filepath.Join(root, "config/crd/oda/bases")}, ErrorIfPathMissing: true,
	})
	require.NoError(t, err)
	kube, err := client.New(c.RESTConfig(), client.Options{})
	require.NoError(t, err)
	dryRun := client.NewDryRunClient(client.WithFieldValidation(kube, metav1.FieldValidationStrict))
	for name, text := range guides(t) {
		for _, block := range yamlBlock.FindAllStringSubmatch(text, -1) {
			for _, object := range objects(t, block[1]) {
				object.SetNamespace("default")
				if !assert.NoError(t, dryRun.Create(t.Context(), object), "%s: %s %s", name, object.GetKind(), object.GetName()) {
					continue
				}
				if object.GetKind() != "DataPowerService" {
					continue
				}
				for _, rendered := range render(t, object) {
					if rendered.GetKind() == "DataPowerMonitor" && strings.Contains(text, "kind: DataPowerMonitor") {
						continue // the guide brings its own
					}
					assert.NoError(t, dryRun.Create(t.Context(), rendered), "%s: %s %s of %s", name, rendered.GetKind(), rendered.GetName(), object.GetName())
				}
			}
		}
	}
}

// render returns what a DataPowerService becomes, as helm template does.
func render(t *testing.T, service *unstructured.Unstructured) []*unstructured.Unstructured {
	t.Helper()
	loaded, err := loader.LoadDir(filepath.Join(root, "helm-charts/datapowerservice"))
	require.NoError(t, err)
	spec, _, err := unstructured.NestedMap(service.Object, "spec")
	require.NoError(t, err)
	values, err := chartutil.ToRenderValues(loaded, roundTrip(t, spec), chartutil.ReleaseOptions{Name: service.GetName(), Namespace: "default", IsInstall: true}, nil)
	require.NoError(t, err, service.GetName())
	files, err := engine.Render(loaded, values)
	require.NoError(t, err, service.GetName())
	var found []*unstructured.Unstructured
	for path, text := range files {
		if filepath.Ext(path) != ".yaml" {
			continue
		}
		for _, object := range objects(t, text) {
			if len(object.Object) > 0 {
				object.SetNamespace("default")
				found = append(found, object)
			}
		}
	}
	require.NotEmpty(t, found)
	return found
}

// roundTrip gives numbers the types that values have in Helm.
func roundTrip(t *testing.T, value map[string]any) map[string]any {
	t.Helper()
	data, err := json.Marshal(value)
	require.NoError(t, err)
	var out map[string]any
	require.NoError(t, json.NewDecoder(bytes.NewReader(data)).Decode(&out))
	return out
}

func TestLinksOfDocumentsLeadSomewhere(t *testing.T) {
	var paths []string
	for _, pattern := range []string{"README.md", "docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		paths = append(paths, found...)
	}
	require.Greater(t, len(paths), 20)
	for _, path := range paths {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, found := range link.FindAllStringSubmatch(string(data), -1) {
			target, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			at := filepath.Join(filepath.Dir(path), target)
			if target == "" {
				at = path
			}
			if _, err := os.Stat(at); !assert.NoError(t, err, path) || anchor == "" {
				continue
			}
			text, err := os.ReadFile(at)
			require.NoError(t, err, "%s: %s", path, found[1])
			assert.Contains(t, anchors(string(text)), anchor, "%s: %s", path, found[1])
		}
	}
}

var (
	heading   = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	unwritten = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// anchors are the names that GitHub gives the headings of a document.
func anchors(text string) []string {
	var names []string
	for _, found := range heading.FindAllStringSubmatch(text, -1) {
		name := strings.ToLower(unwritten.ReplaceAllString(found[1], ""))
		names = append(names, strings.ReplaceAll(strings.TrimSpace(name), " ", "-"))
	}
	return names
}
