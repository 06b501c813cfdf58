package status

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/sidecar/catalogue"
	"github.com/datapower-operator/datapower-operator/sidecar/status/statustest"
)

// now is later than everything that the builders make.
var now = statustest.Epoch.Add(time.Hour)

// knownCatalogue knows the version and the licence of the built service.
const knownCatalogue = `
catalogue:
  channels: {10.6-lts: {version: 10.6.0.1}}
  versions: {10.6.0.1: {licenses: [L-ABCD-EFGHIJ, L-OTHR-ABCDEF]}, 10.5.0.0: {licenses: [L-OTHR-ABCDEF]}, 10.0.1.0: {}}
  licenses:
    L-ABCD-EFGHIJ: {displayName: Production, uses: [production]}
    L-OTHR-ABCDEF: {uses: [nonproduction, developers]}
    L-VAGU-EEEEEE: {}
  aliases: {10.6-eus: 10.6-lts}
`

func testCatalogue(t require.TestingT) *catalogue.Catalogue {
	c, err := catalogue.Parse([]byte(knownCatalogue))
	require.NoError(t, err)
	return c
}

// credentials are the objects that the built service refers to.
func credentials() Objects {
	return Objects{{v1beta3.KindSecret, "admin-credentials"}: sets.New("password")}
}

// healthy is the input of a service in perfect order; change makes it less so.
func healthy(t require.TestingT, change ...func(*Input)) Input {
	service := statustest.Service(statustest.Deployed(1))
	set := statustest.StatefulSet(service)
	in := Input{
		Service: service, StatefulSet: set, Objects: credentials(), Catalogue: testCatalogue(t), Now: now,
		Pods: []corev1.Pod{statustest.Pod(set, 0), statustest.Pod(set, 1), statustest.Pod(set, 2)},
	}
	for _, c := range change {
		c(&in)
	}
	return in
}

func withService(options ...statustest.ServiceOption) func(*Input) {
	return func(in *Input) {
		for _, option := range options {
			option(in.Service)
		}
	}
}

func withSpec(change func(*v1beta3.DataPowerServiceSpec)) func(*Input) {
	return withService(statustest.WithSpec(change))
}

func withSet(options ...statustest.SetOption) func(*Input) {
	return func(in *Input) {
		for _, option := range options {
			option(in.StatefulSet)
		}
	}
}

func withoutSet(in *Input) { in.StatefulSet, in.Pods = nil, nil }

func withPod(ordinal int, options ...statustest.PodOption) func(*Input) {
	return func(in *Input) { in.Pods[ordinal] = statustest.Pod(in.StatefulSet, ordinal, options...) }
}

func withObjects(objects Objects) func(*Input) { return func(in *Input) { in.Objects = objects } }

// condition returns the condition of a type, or nil.
func condition(s Status, conditionType string) *metav1.Condition {
	for i := range s.Conditions {
		if s.Conditions[i].Type == conditionType {
			return &s.Conditions[i]
		}
	}
	return nil
}

// mustCondition fails the test when there is no such condition.
func mustCondition(t *testing.T, s Status, conditionType string) metav1.Condition {
	t.Helper()
	c := condition(s, conditionType)
	require.NotNil(t, c, "condition %s", conditionType)
	return *c
}

// record puts a computed status into the service, as the API server would.
func record(service *v1beta3.DataPowerService, s Status) *v1beta3.DataPowerService {
	after := service.DeepCopy()
	var others []metav1.Condition
	for _, c := range after.Status.Conditions {
		if condition(Status{Conditions: []metav1.Condition{{Type: "Ready"}, {Type: "Pending"}, {Type: "Error"}, {Type: "Warning"}}}, c.Type) == nil {
			others = append(others, c)
		}
	}
	after.Status.Conditions = append(others, s.Conditions...)
	after.Status.Phase = s.Phase
	after.Status.Replicas = &s.Replicas
	after.Status.LabelSelector = s.LabelSelector
	after.Status.Pods = s.Pods
	after.Status.Versions = s.Versions.DeepCopy()
	after.Status.MgmtPorts = s.MgmtPorts
	after.Status.CustomImages = &s.CustomImages
	after.Status.Generated = s.Generated
	return after
}
