package product_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

// publishedFolder holds resources that people published. They are not part of this repository.
const publishedFolder = repository + "/../shared/samples/datapower"

// published lists what becomes of each.
var published = []struct {
	file    string
	prepare func(string) string
	refused string // what kubectl says; empty when the resource must become Ready
}{
	{file: "01-adesprets-dps-simple.yaml"},
	{file: "02-adesprets-dps-capability-healthcheck.yaml", prepare: strings.NewReplacer(
		"$my_cp_datapower_instance_name", "capability", "$VAR_APIC_NAMESPACE", "apic",
		"$my_ibm_cp_datapower_version", "10.6-lts", "$my_ibm_cp_datapower_license", "L-EYGU-PVGRBC").Replace},
	{file: "03-bbeilke-dev1.yaml", refused: `unknown field "spec.resources.limit"`},
	{file: "05-cs-tsui-reference-base-v1beta1.yaml", prepare: withoutRoute},
	{file: "09-mrrt-workshop-dps.yaml"},
	{file: "12-rsundara-v1beta1-with-datapowermonitor.yaml", prepare: parameter.Replace, refused: `unknown field "spec.datapowerMonitor.value"`},
	{file: "12-rsundara-v1beta1-with-datapowermonitor.yaml", prepare: wellIndented},
	{file: "13-ibm-cp4i-samples-v1beta2.sh", prepare: hereDocument},
	{file: "15-blog-persistent-storage.yaml"},
}

// withoutRoute leaves out what only OpenShift knows.
func withoutRoute(manifests string) string {
	kept := slices.DeleteFunc(strings.Split(manifests, "\n---\n"), func(doc string) bool { return strings.Contains(doc, "kind: Route") })
	return strings.Join(kept, "\n---\n")
}

// wellIndented mends what kubectl's message about sample 12 says: a value that belongs to an environment variable.
func wellIndented(manifests string) string {
	return misplacedValue.ReplaceAllString(parameter.Replace(manifests), "")
}

var misplacedValue = regexp.MustCompile(`(?m)^    value: .*\n`)

// parameter fills the placeholders of sample 12, whose environment entry is indented wrongly, too.
var parameter = strings.NewReplacer("PARM_DP_SERVICE_NAME", "idp", "PARM_REPLICA_COUNT", "1",
	"PARM_LIMITS_CPU", "4", "PARM_LIMITS_MEMORY", "8Gi")

// hereDocument takes the resource out of a shell script that applies it, as the shell would.
func hereDocument(script string) string {
	_, rest, _ := strings.Cut(script, "<<EOF\n")
	body, _, _ := strings.Cut(rest, "\nEOF")
	return strings.NewReplacer("${release_name}", "cp4i", "${namespace}", "cp4i", "${flavour}", "nonproduction",
		"${replicas}", "1", "${memory_limit}", "4Gi").Replace(body)
}

var namespaceLine = regexp.MustCompile(`(?m)^\s+namespace: .*\n`)

func TestPublishedResourcesWorkAsTheyAreOrAreRefusedWithAReason(t *testing.T) {
	if _, err := os.Stat(publishedFolder); err != nil {
		t.Skip("the published resources are not here: ", err)
	}
	for _, p := range published {
		name, namespace := p.file, "published-"+p.file[:2]
		if p.refused != "" {
			name, namespace = name+" is refused", namespace+"-refused"
		}
		t.Run(name, func(t *testing.T) {
			s := newScene(t, namespace)
			data, err := os.ReadFile(filepath.Join(publishedFolder, p.file))
			require.NoError(t, err)
			text := string(data)
			if p.prepare != nil {
				text = p.prepare(text)
			}
			text = namespaceLine.ReplaceAllString(text, "")
			s.provide(text)
			out, err := s.tryApply(text)
			if p.refused != "" {
				require.Error(t, err)
				assert.Contains(t, out, p.refused)
				return
			}
			require.NoError(t, err, out)
			name := strings.TrimSpace(s.must("get", "dp", "--output=jsonpath={.items[0].metadata.name}"))
			s.ready(name)
			s.eventually("dp/"+name, ".status.phase", "Running")
		})
	}
}

// TestThePublishedTerraformResourceWorks is sample 17, a Terraform file, as the manifest that
// Terraform makes of it.
func TestThePublishedTerraformResourceWorks(t *testing.T) {
	s := newScene(t, "published-17")
	text := `
apiVersion: datapower.ibm.com/v1beta3
kind: DataPowerService
metadata:
  name: cdt-dp-service
  labels: {backup.datapower.ibm.com/component: datapowerservice}
spec:
  version: 10.6-cd
  replicas: 1
  license: {accept: true, license: L-LQQV-WT4TTD, use: nonproduction}
  resources:
    limits: {memory: 4Gi}
    requests: {cpu: "1", memory: 4Gi}
  domains: [{name: default, dpApp: {config: [dp-web-mgmt]}}]
  livenessProbe:
    httpGet: {path: /healthz, port: 7879, scheme: HTTP}
    initialDelaySeconds: 60
    timeoutSeconds: 5
    periodSeconds: 10
    failureThreshold: 12
  readinessProbe:
    httpGet: {path: /healthz, port: 7879, scheme: HTTP}
    initialDelaySeconds: 30
    timeoutSeconds: 5
    periodSeconds: 5
    failureThreshold: 24
  users: [{name: admin, accessLevel: privileged, passwordSecret: dp-admin-pass}]
`
	s.provide(text)
	s.apply(text)
	s.ready("cdt-dp-service")
	assert.Equal(t, "12", s.field("statefulset/cdt-dp-service", ".spec.template.spec.containers[0].livenessProbe.failureThreshold"))
}

// provide creates what the resources name: Secrets, ConfigMaps and storage classes.
func (s *scene) provide(manifests string) {
	s.Helper()
	for _, doc := range strings.Split(manifests, "\n---\n") {
		svc := &v1beta3.DataPowerService{}
		if err := yaml.Unmarshal([]byte(doc), svc); err != nil || svc.Kind != "DataPowerService" {
			continue
		}
		for _, ref := range v1beta3.References(svc) {
			data := base64.StdEncoding.EncodeToString([]byte("content"))
			key := ref.Key
			if key == "" {
				key = "password"
			}
			field := "data"
			if ref.Kind == "ConfigMap" {
				field = "binaryData"
			}
			s.apply(fmt.Sprintf("apiVersion: v1\nkind: %s\nmetadata: {name: %s}\n%s: {%s: %s}\n", ref.Kind, ref.Name, field, key, data))
		}
		for _, storage := range svc.Spec.Storage {
			if storage.Class != "" {
				_, err := s.kubectl(fmt.Sprintf(
					"apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: %s}\nprovisioner: cluster.datapower.test/simulated\n",
					storage.Class), "apply", "-f", "-")
				require.NoError(s, err)
			}
		}
	}
}

func TestOurOwnSamplesBecomeReady(t *testing.T) {
	s := newScene(t, "samples")
	s.must("apply", "-k", filepath.Join(repository, "config", "samples"))
	for _, name := range []string{"gateway", "orders", "editor", "elastic"} {
		s.ready(name)
		s.eventually("dp/"+name, ".status.phase", "Running")
	}
	out, err := s.try("diff", "-k", filepath.Join(repository, "config", "samples"))
	assert.NoError(t, err, out)
	assert.Empty(t, s.field("dpm/gateway", ".metadata.ownerReferences"), "the sample's own monitor")
	assert.NotEmpty(t, s.field("dpm/orders", ".metadata.ownerReferences"))
}
