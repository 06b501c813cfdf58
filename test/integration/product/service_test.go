package product_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// minimal is a DataPowerService with its administrator's Secret; %s is its name.
func minimal(name string, extra ...string) string {
	return strings.ReplaceAll(`
apiVersion: v1
kind: Secret
metadata: {name: NAME-admin}
stringData: {password: "s3cret"}
---
apiVersion: datapower.ibm.com/v1beta3
kind: DataPowerService
metadata: {name: NAME}
spec:
  license: {accept: true, use: nonproduction, license: L-RJON-CCCP46}
  version: 10.6-lts
  replicas: 1
  users:
    - {name: admin, passwordSecret: NAME-admin, accessLevel: privileged}
`, "NAME", name) + strings.Join(extra, "\n")
}

func TestApplyingTwiceChangesNothingAndDiffIsEmpty(t *testing.T) {
	s := newScene(t, "apply-twice")
	s.apply(minimal("gw"))
	s.ready("gw")
	out := s.apply(minimal("gw"))
	assert.Contains(t, out, "datapowerservice.datapower.ibm.com/gw unchanged")
	out, err := s.kubectl(minimal("gw"), "--namespace="+s.namespace, "diff", "-f", "-")
	assert.NoError(t, err, "kubectl diff: %s", out)
	assert.Empty(t, out)
}

func TestGetShowsTheDocumentedColumns(t *testing.T) {
	s := newScene(t, "columns")
	s.apply(minimal("gw"))
	s.ready("gw")
	s.eventually("dp/gw", ".status.phase", "Running")
	lines := strings.Split(s.must("get", "dp"), "\n")
	assert.Equal(t, []string{"NAME", "PHASE", "READY", "SUMMARY", "VERSION", "AGE"}, strings.Fields(lines[0]))
	assert.Contains(t, lines[1], "Running")
	assert.Contains(t, lines[1], "StatefulSet replicas ready: 1/1")
	assert.Contains(t, s.must("get", "datapower"+"services"), "gw")
	assert.Contains(t, s.must("get", "apic"), "gw", "the category of the existing operator")
}

func TestExplainTellsOfDomains(t *testing.T) {
	s := newScene(t, "explain")
	out := s.must("explain", "dp.spec.domains")
	assert.Contains(t, out, "VERSION:    v1beta3")
	assert.Contains(t, out, "dpApp")
	assert.Contains(t, out, "passwordMap")
}

func TestScaleGoesThroughTheService(t *testing.T) {
	s := newScene(t, "scale")
	s.apply(minimal("gw"))
	s.ready("gw")
	s.must("scale", "dp/gw", "--replicas=3")
	s.ready("gw")
	s.eventually("dp/gw", ".status.replicas", "3")
	s.eventually("dp/gw", `.status.conditions[?(@.type=="Ready")].message`, "StatefulSet replicas ready: 3/3")
	assert.Equal(t, "datapower.ibm.com/service=gw", s.field("dp/gw", ".status.labelSelector"))
	assert.Equal(t, "gw-0 gw-1 gw-2", s.field("dp/gw", ".status.pods[*]"))

	s.must("scale", "dp/gw", "--replicas=0")
	s.eventually("dp/gw", `.status.conditions[?(@.type=="Ready")].message`, "StatefulSet replicas ready: 0/0")
}

func TestWaitAfterAnEditWaitsForTheEdit(t *testing.T) {
	s := newScene(t, "wait")
	s.apply(minimal("gw"))
	s.ready("gw")
	s.must("patch", "dp", "gw", "--type=merge", "--patch", `{"spec":{"env":[{"name":"COLOUR","value":"blue"}]}}`)
	s.ready("gw")
	assert.Equal(t, "blue", s.field("pod/gw-0", `.spec.containers[0].env[?(@.name=="COLOUR")].value`),
		"once Ready again, the pod is the new one")
}

func TestStatusTellsWhatTheDocumentsPromise(t *testing.T) {
	s := newScene(t, "status")
	s.apply(minimal("gw"))
	s.ready("gw")
	s.eventually("dp/gw", ".status.phase", "Running")
	assert.Equal(t, "rest-mgmt:5554", s.field("dp/gw", ".status.mgmtPorts[0].name")+":"+s.field("dp/gw", ".status.mgmtPorts[0].port"))
	assert.Equal(t, "false", s.field("dp/gw", ".status.customImages"))
	assert.Regexp(t, `^10\.6\.0\.`, s.field("dp/gw", ".status.versions.reconciled"))
	assert.Contains(t, s.field("dp/gw", ".status.versions.available.channels[*].name"), "10.6-lts")
	assert.Equal(t, s.field("dp/gw", ".metadata.generation"), s.field("dp/gw", ".status.observedGeneration"))
	for _, condition := range []string{"Initialized", "Deployed"} {
		s.must("wait", "--for=condition="+condition, "dp/gw", "--timeout=30s")
	}
}

func TestPodsCarryTheLabelsThatUsersSelectBy(t *testing.T) {
	s := newScene(t, "labels")
	s.apply(minimal("gw"))
	s.ready("gw")
	out := s.must("get", "pods", "--output=name", "--selector",
		"app.kubernetes.io/name=datapower,app.kubernetes.io/component=datapower,app.kubernetes.io/instance=labels-gw,app.kubernetes.io/managed-by=datapower-operator")
	assert.Equal(t, "pod/gw-0\n", out)
	slices := s.must("get", "endpointslices", "--selector=kubernetes.io/service-name=gw-headless", "--output=jsonpath={.items[*].endpoints[*].addresses[*]}")
	assert.Equal(t, s.field("pod/gw-0", ".status.podIP"), slices, "the headless Service lists the pod")
}

func TestAMissingSecretIsNamedAndItsArrivalHeals(t *testing.T) {
	s := newScene(t, "missing-secret")
	_, service, found := strings.Cut(minimal("gw"), "---\n")
	require.True(t, found)
	s.apply(service)
	s.must("wait", "--for=condition=Error", "dp/gw", "--timeout=60s")
	s.eventually("dp/gw", ".status.phase", "Failed")
	assert.Contains(t, s.field("dp/gw", `.status.conditions[?(@.type=="Error")].message`), `Secret "gw-admin" not found`)
	s.apply(minimal("gw"))
	s.ready("gw")
	s.eventually("dp/gw", ".status.phase", "Running")
}

func TestADeletedSecretDoesNotStopWhatRuns(t *testing.T) {
	s := newScene(t, "deleted-secret")
	s.apply(minimal("gw"))
	s.ready("gw")
	uid := s.field("pod/gw-0", ".metadata.uid")
	s.must("delete", "secret", "gw-admin")
	s.must("wait", "--for=condition=Error", "dp/gw", "--timeout=60s")
	s.must("delete", "service", "gw-headless")
	s.eventually("service/gw-headless", ".metadata.name", "gw-headless")
	assert.Equal(t, uid, s.field("pod/gw-0", ".metadata.uid"), "the pod runs on")
	s.apply(minimal("gw"))
	s.eventually("dp/gw", ".status.phase", "Running")
	assert.Equal(t, uid, s.field("pod/gw-0", ".metadata.uid"), "the same content rolls nothing")
}

func TestAChangedSecretRollsThePods(t *testing.T) {
	s := newScene(t, "changed-secret")
	s.apply(minimal("gw"))
	s.ready("gw")
	was := s.field("statefulset/gw", ".spec.template.metadata.annotations")
	s.must("label", "secret", "gw-admin", "unrelated=label")
	s.must("patch", "secret", "gw-admin", "--patch", `{"stringData":{"password":"other"}}`)
	s.eventually("dp/gw", ".status.deployedRelease.revision", "2")
	assert.NotEqual(t, was, s.field("statefulset/gw", ".spec.template.metadata.annotations"))
	s.must("rollout", "status", "statefulset/gw", "--timeout=60s")
	s.eventually("dp/gw", ".status.phase", "Running")
	for _, object := range []string{"dp/gw", "statefulset/gw", "configmap/gw-init", "configmap/gw-user-commands"} {
		assert.NotContains(t, s.must("get", object, "--output=yaml"), "other\n", "no secret in %s", object)
	}
}

func TestTheDefaultMonitorIsOwnedAndTheUsersEditOfItStays(t *testing.T) {
	s := newScene(t, "monitor-default")
	s.apply(minimal("gw"))
	s.ready("gw")
	assert.Equal(t, s.field("dp/gw", ".metadata.uid"), s.field("dpm/gw", ".metadata.ownerReferences[0].uid"))
	assert.Equal(t, "10000 1000 false", strings.Join([]string{
		s.field("dpm/gw", ".spec.lifecycleDebounceMs"),
		s.field("dpm/gw", ".spec.peeringRecoveryCheckIntervalMs"),
		s.field("dpm/gw", ".spec.monitorGatewayPeering"),
	}, " "))
	s.must("patch", "dpm", "gw", "--type=merge", "--patch", `{"spec":{"monitorGatewayPeering":true}}`)
	s.must("patch", "dp", "gw", "--type=merge", "--patch", `{"spec":{"debug":true}}`)
	s.ready("gw")
	assert.Equal(t, "true", s.field("dpm/gw", ".spec.monitorGatewayPeering"))
	s.must("delete", "dp", "gw")
	s.gone("dpm/gw")
}

func TestAMonitorThatTheUserMadeFirstIsLeftAlone(t *testing.T) {
	s := newScene(t, "monitor-own")
	s.apply(`
apiVersion: datapower.ibm.com/v1beta2
kind: DataPowerMonitor
metadata: {name: gw}
spec: {lifecycleDebounceMs: 5000}
`)
	s.apply(minimal("gw"))
	s.ready("gw")
	assert.Empty(t, s.field("dpm/gw", ".metadata.ownerReferences"))
	assert.Equal(t, "5000", s.field("dpm/gw", ".spec.lifecycleDebounceMs"))
	s.must("delete", "dp", "gw")
	s.gone("statefulset/gw")
	assert.Equal(t, "5000", s.field("dpm/gw", ".spec.lifecycleDebounceMs"), "and survives the service")
}

func TestDeletingTheServiceLeavesOnlyWhatIsTheUsers(t *testing.T) {
	s := newScene(t, "delete")
	s.apply(minimal("gw", `
  storage:
    - {type: persistent, path: /opt/ibm/datapower/drouter/config, size: 1Gi}
`))
	s.ready("gw")
	s.must("delete", "dp", "gw")
	for _, object := range []string{"statefulset/gw", "service/gw-headless", "configmap/gw-init", "configmap/gw-user-commands", "serviceaccount/gw-datapower", "dpm/gw"} {
		s.gone(object)
	}
	assert.NotContains(t, s.must("get", "secrets", "--output=name"), "helm.release")
	assert.Contains(t, s.must("get", "secrets", "--output=name"), "secret/gw-admin")
	assert.NotEmpty(t, s.must("get", "pvc", "--output=name"), "a volume's data is never deleted unasked")
}

func TestGeneratedSecretsAppearOnceAndKeepTheirValue(t *testing.T) {
	s := newScene(t, "generated")
	s.apply(minimal("gw", `
  domains:
    - name: default
      settings: {passphrase: {generate: true}}
      passwordMap:
        - {alias: backend, generate: true}
`))
	s.ready("gw")
	passphrase := s.field("secret/gw-default-passphrase", ".data.passphrase")
	require.NotEmpty(t, passphrase)
	s.eventually("dp/gw", ".status.deployedRelease.revision", "1")
	assert.Equal(t, "1", s.field("dp/gw", ".status.deployedRelease.revision"), "no roll right after the install")
	s.eventually("dp/gw", ".status.generated[*].name", "gw-default-passphrase gw-default-backend-password")
	s.must("patch", "dp", "gw", "--type=merge", "--patch", `{"spec":{"debug":true}}`)
	s.eventually("dp/gw", ".status.deployedRelease.revision", "2")
	assert.Equal(t, passphrase, s.field("secret/gw-default-passphrase", ".data.passphrase"))
	s.must("delete", "secret", "gw-default-passphrase")
	s.eventually("dp/gw", ".status.deployedRelease.revision", "3")
	s.ready("gw")
	assert.NotEqual(t, passphrase, s.field("secret/gw-default-passphrase", ".data.passphrase"))

	passphrase = s.field("secret/gw-default-passphrase", ".data.passphrase")
	s.must("patch", "dp", "gw", "--type=merge", "--patch", `{"spec":{"domains":[{"name":"default"}]}}`)
	s.eventually("dp/gw", ".status.deployedRelease.revision", "4")
	s.must("patch", "dp", "gw", "--type=merge", "--patch", `{"spec":{"domains":[{"name":"default","settings":{"passphrase":{"generate":true}}}]}}`)
	s.eventually("dp/gw", ".status.deployedRelease.revision", "5")
	assert.Equal(t, passphrase, s.field("secret/gw-default-passphrase", ".data.passphrase"), "what nobody asked for any more was kept")
}

func TestAnAutoscalersReplicasAreNotFought(t *testing.T) {
	s := newScene(t, "autoscaler")
	s.apply(minimal("gw", `
  podAutoScaling:
    method: HPA
    hpa: {minReplicas: 1, maxReplicas: 5, targetCPUUtilizationPercentage: 80, targetMemoryUtilizationPercentage: 0}
`))
	s.ready("gw")
	assert.Equal(t, "cpu", s.field("hpa/gw", ".spec.metrics[*].resource.name"), "0 switches the memory metric off")
	s.must("scale", "statefulset/gw", "--replicas=4")
	s.eventually("dp/gw", `.status.conditions[?(@.type=="Ready")].message`, "StatefulSet replicas ready: 4/4")
	s.must("patch", "dp", "gw", "--type=merge", "--patch", `{"spec":{"debug":true}}`)
	s.eventually("dp/gw", ".status.deployedRelease.revision", "2")
	assert.Equal(t, "4", s.field("statefulset/gw", ".spec.replicas"))
}

func TestAStoppedServiceHasNoPodsAndKeepsItsNumber(t *testing.T) {
	s := newScene(t, "stop")
	s.apply(minimal("gw"))
	s.ready("gw")
	s.must("annotate", "dp", "gw", "datapower.ibm.com/stop=true")
	s.gone("pod/gw-0")
	assert.Equal(t, "1", s.field("dp/gw", ".spec.replicas"))
	s.must("annotate", "dp", "gw", "datapower.ibm.com/stop-")
	s.eventually("pod/gw-0", ".status.phase", "Running")
	s.ready("gw")
}

func TestAPauseIsShownAsAWarning(t *testing.T) {
	s := newScene(t, "pause")
	s.apply(minimal("gw"))
	s.ready("gw")
	s.must("annotate", "dp", "gw", "datapower.ibm.com/pause=true")
	s.must("wait", "--for=condition=Warning", "dp/gw", "--timeout=60s")
	assert.Equal(t, "Reconciliation is paused indefinitely", s.field("dp/gw", `.status.conditions[?(@.type=="Warning")].message`))
	s.must("delete", "service", "gw-headless")
	s.must("scale", "dp/gw", "--replicas=2")
	s.must("annotate", "dp", "gw", "datapower.ibm.com/pause-")
	s.eventually("service/gw-headless", ".metadata.name", "gw-headless")
	s.eventually("dp/gw", ".status.replicas", "2")
}

func TestPodsThatCannotBeMadeAreNamedAndHeal(t *testing.T) {
	s := newScene(t, "failed-create")
	s.apply(minimal("gw", "  serviceAccountName: gateways"))
	s.must("wait", "--for=condition=Error", "dp/gw", "--timeout=60s")
	assert.Contains(t, s.field("dp/gw", `.status.conditions[?(@.type=="Error")].message`), `serviceaccount "gateways" not found`)
	s.must("create", "serviceaccount", "gateways")
	s.ready("gw")
	s.eventually("dp/gw", ".status.phase", "Running")
}

func TestASecretWithoutAPasswordRollsNoPod(t *testing.T) {
	s := newScene(t, "unusable-secret")
	s.apply(minimal("gw"))
	s.ready("gw")
	uid := s.field("pod/gw-0", ".metadata.uid")
	s.must("patch", "secret", "gw-admin", "--type=json", "--patch", `[{"op":"replace","path":"/data","value":{"password":""}}]`)
	s.eventually("dp/gw", ".status.phase", "Failed")
	assert.Contains(t, s.field("dp/gw", `.status.conditions[?(@.type=="Error")].message`), "spec.users[0].passwordSecret")
	assert.Equal(t, uid, s.field("pod/gw-0", ".metadata.uid"))
	s.apply(minimal("gw"))
	s.eventually("dp/gw", ".status.phase", "Running")
	assert.Equal(t, uid, s.field("pod/gw-0", ".metadata.uid"), "nothing but the same password came back")
}
