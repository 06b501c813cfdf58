package status

import (
	"testing"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/sidecar/status/statustest"
)

func TestScaleSubresourceFields(t *testing.T) {
	got := Compute(healthy(t, withSet(statustest.Counts(2, 1, 2))))
	assert.Equal(t, int32(2), got.Replicas, "the pods that exist, ready or not")
	assert.Equal(t, "datapower.ibm.com/service=gw", got.LabelSelector)

	none := Compute(healthy(t, withoutSet))
	assert.Zero(t, none.Replicas)
	assert.Empty(t, none.LabelSelector)

	noSelector := Compute(healthy(t, withSet(func(s *appsv1.StatefulSet) { s.Spec.Selector = nil })))
	assert.Empty(t, noSelector.LabelSelector)
}

func TestPodsAreListedByOrdinal(t *testing.T) {
	in := healthy(t)
	in.Pods = nil
	for _, ordinal := range []int{10, 2, 0} {
		in.Pods = append(in.Pods, statustest.Pod(in.StatefulSet, ordinal, statustest.Terminating()))
	}
	in.Pods = append(in.Pods, corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "odd"}})
	assert.Equal(t, []string{"gw-0", "gw-2", "gw-10", "odd"}, Compute(in).Pods)

	assert.NotNil(t, Compute(healthy(t, withoutSet)).Pods, "an empty list is applied as one, so that old names go away")
}

func TestManagementPorts(t *testing.T) {
	assert.Equal(t, []v1beta3.MgmtPort{{Name: "rest-mgmt", Port: 5554}}, Compute(healthy(t)).MgmtPorts)
}

func TestCustomImages(t *testing.T) {
	assert.False(t, Compute(healthy(t)).CustomImages)
	assert.True(t, Compute(healthy(t, withSpec(func(s *v1beta3.DataPowerServiceSpec) { s.Image = "example.com/x:1" }))).CustomImages)
}

func TestVersions(t *testing.T) {
	got := Compute(healthy(t)).Versions
	assert.Equal(t, "10.6.0.1", got.Reconciled, "from the StatefulSet's label")

	production := v1beta3.AvailableLicense{
		Name: "L-ABCD-EFGHIJ", DisplayName: "Production", MatchesCurrentType: true,
		Link: "https://www.ibm.com/support/customer/csol/terms/?id=L-ABCD-EFGHIJ",
	}
	other := v1beta3.AvailableLicense{
		Name: "L-OTHR-ABCDEF", Link: "https://www.ibm.com/support/customer/csol/terms/?id=L-OTHR-ABCDEF",
	}
	assert.Equal(t, []v1beta3.AvailableVersion{
		{Name: "10.6-lts", Licenses: []v1beta3.AvailableLicense{production, other}},
	}, got.Available.Channels)
	assert.Equal(t, []v1beta3.AvailableVersion{
		{Name: "10.0.1.0", Licenses: []v1beta3.AvailableLicense{}},
		{Name: "10.5.0.0", Licenses: []v1beta3.AvailableLicense{other}},
		{Name: "10.6.0.1", Licenses: []v1beta3.AvailableLicense{production, other}},
	}, got.Available.Versions)

	assert.Empty(t, Compute(healthy(t, withoutSet)).Versions.Reconciled, "nothing is in use")
}

func TestGeneratedSecretsAreListedOnceTheyExist(t *testing.T) {
	yes := true
	generating := withSpec(func(s *v1beta3.DataPowerServiceSpec) {
		s.Domains = []v1beta3.Domain{{
			Name:        "shop",
			Settings:    &v1beta3.DomainSettings{Passphrase: &v1beta3.Passphrase{Generate: &yes}},
			PasswordMap: []v1beta3.PasswordMapEntry{{Alias: "db", Generate: &yes}},
		}}
	})
	objects := credentials()
	objects[ObjectName{v1beta3.KindSecret, "gw-shop-db-password"}] = nil

	got := Compute(healthy(t, generating, withObjects(objects)))

	assert.Equal(t, []v1beta3.Generated{{
		Kind: "Secret", Name: "gw-shop-db-password",
		Context: v1beta3.GeneratedContext{Path: "spec.domains[0].passwordMap[0]", Domain: "shop", Alias: "db"},
	}}, got.Generated)
	assert.NotNil(t, Compute(healthy(t)).Generated, "an empty list is applied as one")
}

func TestComputeLeavesItsInputAlone(t *testing.T) {
	in := healthy(t, withPod(0, statustest.Waiting("CrashLoopBackOff", "")), withObjects(nil))
	in.Pods[0], in.Pods[2] = in.Pods[2], in.Pods[0]
	service, set := in.Service.DeepCopy(), in.StatefulSet.DeepCopy()
	pods := []corev1.Pod{*in.Pods[0].DeepCopy(), *in.Pods[1].DeepCopy(), *in.Pods[2].DeepCopy()}

	Compute(in)

	assert.Equal(t, service, in.Service)
	assert.Equal(t, set, in.StatefulSet)
	assert.Equal(t, pods, in.Pods)
}

func TestCurrentSeesOnlyThisWritersPart(t *testing.T) {
	service := statustest.Service(statustest.Deployed(1))
	computed := Compute(healthy(t))
	recorded := record(service, computed)
	recorded.Status.ObservedGeneration = 9
	recorded.Status.Firmware = []v1beta3.Firmware{{Pods: []string{"gw-0"}}}
	assert.True(t, Current(recorded).Equal(computed))
	assert.False(t, Current(service).Equal(computed), "a service without a status differs")
}

func TestEqualNoticesEveryField(t *testing.T) {
	for name, change := range map[string]func(*Status){
		"phase":          func(s *Status) { s.Phase = "Failed" },
		"a condition":    func(s *Status) { s.Conditions[0].Message = "other" },
		"fewer of them":  func(s *Status) { s.Conditions = s.Conditions[:1] },
		"replicas":       func(s *Status) { s.Replicas++ },
		"label selector": func(s *Status) { s.LabelSelector = "x=y" },
		"pods":           func(s *Status) { s.Pods = nil },
		"versions":       func(s *Status) { s.Versions.Reconciled = "1" },
		"management":     func(s *Status) { s.MgmtPorts = nil },
		"custom images":  func(s *Status) { s.CustomImages = true },
		"generated":      func(s *Status) { s.Generated = []v1beta3.Generated{{Name: "x"}} },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := Compute(healthy(t)), Compute(healthy(t))
			change(&b)
			assert.False(t, a.Equal(b))
		})
	}
}
