//lint:file-ignore SA1019 it is about fields that are deprecated

package status

import (
	"testing"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

func TestWarning(t *testing.T) {
	for name, tc := range map[string]struct {
		spec func(*v1beta3.DataPowerServiceSpec)
		want string // empty means none
	}{
		"a service without oddities has none": {
			spec: func(*v1beta3.DataPowerServiceSpec) {},
		},
		"odTracing is deprecated": {
			spec: func(s *v1beta3.DataPowerServiceSpec) { s.ODTracing = &v1beta3.ODTracing{} },
			want: "spec.odTracing is deprecated and ignored",
		},
		"jaegerTracing is deprecated": {
			spec: func(s *v1beta3.DataPowerServiceSpec) { s.JaegerTracing = &v1beta3.JaegerTracing{} },
			want: "spec.jaegerTracing is deprecated and ignored",
		},
		"a volume mode that nobody gets is named with its place": {
			spec: func(s *v1beta3.DataPowerServiceSpec) {
				s.Storage = []v1beta3.Storage{{Path: "/a"}, {Path: "/b", VolumeMode: "Block"}}
			},
			want: `spec.storage[1].volumeMode "Block" is ignored, the mode is always Filesystem`,
		},
		"the volume mode that everybody gets is no oddity": {
			spec: func(s *v1beta3.DataPowerServiceSpec) {
				s.Storage = []v1beta3.Storage{{Path: "/a", VolumeMode: "Filesystem"}}
			},
		},
		"a service binding that was insisted on is not made": {
			spec: func(s *v1beta3.DataPowerServiceSpec) { s.CreateServiceBinding = "always" },
			want: `spec.createServiceBinding "always" is ignored, this operator makes no DataPowerServiceBinding`,
		},
		"a service binding at the operator's discretion is no oddity": {
			spec: func(s *v1beta3.DataPowerServiceSpec) { s.CreateServiceBinding = "automatic" },
		},
		"a number of replicas beside an autoscaler has no effect": {
			spec: func(s *v1beta3.DataPowerServiceSpec) {
				s.Replicas = new(int32(3))
				s.PodAutoScaling = &v1beta3.PodAutoScaling{Method: "HPA"}
			},
			want: "spec.replicas has no effect while spec.podAutoScaling.method is HPA",
		},
		"an exact version that the catalogue does not know is used all the same": {
			spec: func(s *v1beta3.DataPowerServiceSpec) { s.Version = "10.6.9.9sr1" },
			want: `spec.version "10.6.9.9sr1" is not in the catalogue`,
		},
		"an unknown channel is an error of the release and not warned of twice": {
			spec: func(s *v1beta3.DataPowerServiceSpec) { s.Version = "99.0-cd" },
		},
		"an old name of a channel is known": {
			spec: func(s *v1beta3.DataPowerServiceSpec) { s.Version = "10.6-eus" },
		},
		"a licence that the catalogue does not know deserves a look": {
			spec: func(s *v1beta3.DataPowerServiceSpec) { s.License.License = "L-NEWX-ABCDEF" },
			want: `spec.license.license "L-NEWX-ABCDEF" is not in the catalogue`,
		},
		"a licence for another use is told": {
			spec: func(s *v1beta3.DataPowerServiceSpec) { s.License.License = "L-OTHR-ABCDEF" },
			want: `spec.license.license "L-OTHR-ABCDEF" is not for spec.license.use "production"`,
		},
		"a licence for another version is told": {
			spec: func(s *v1beta3.DataPowerServiceSpec) { s.Version = "10.5.0.0" },
			want: `spec.license.license "L-ABCD-EFGHIJ" is not for spec.version "10.5.0.0"`,
		},
		"a licence of which the catalogue knows no use fits any use": {
			spec: func(s *v1beta3.DataPowerServiceSpec) { s.Version, s.License.License = "10.0.1.0", "L-VAGU-EEEEEE" },
		},
		"a version of which the catalogue knows no licence takes any": {
			spec: func(s *v1beta3.DataPowerServiceSpec) { s.Version = "10.0.1.0" },
		},
		"several are told together in the order of their kinds": {
			spec: func(s *v1beta3.DataPowerServiceSpec) {
				s.ODTracing, s.Version, s.License.License = &v1beta3.ODTracing{}, "10.6.9.9", "L-NEWX-ABCDEF"
			},
			want: `spec.odTracing is deprecated and ignored; spec.version "10.6.9.9" is not in the catalogue; ` +
				`spec.license.license "L-NEWX-ABCDEF" is not in the catalogue`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Compute(healthy(t, withSpec(tc.spec)))
			c := mustCondition(t, got, datapower.ConditionWarning)
			assert.Equal(t, tc.want, c.Message)
			if tc.want == "" {
				assert.Equal(t, metav1.ConditionFalse, c.Status)
				assert.Equal(t, "NoWarning", c.Reason)
			} else {
				assert.Equal(t, metav1.ConditionTrue, c.Status)
				assert.Equal(t, "ReconcileWarning", c.Reason)
			}
			assert.Equal(t, datapower.PhaseRunning, got.Phase, "a warning is no failure")
		})
	}
}

func TestAnnotationsThatSteerTheOperatorAreShown(t *testing.T) {
	for name, tc := range map[string]struct {
		annotations map[string]string
		want        string
	}{
		"a pause without an end": {
			map[string]string{"datapower.ibm.com/pause": "true"}, "Reconciliation is paused indefinitely"},
		"a pause with an end": {
			map[string]string{"datapower.ibm.com/pause": "1h", "datapower.ibm.com/pause-expiration": "2026-01-02T03:04:05Z"},
			"Reconciliation is paused until 2026-01-02T03:04:05Z"},
		"a pause whose end the helm-operator has not noted yet": {
			map[string]string{"datapower.ibm.com/pause": "1h"}, ""},
		"a note that a pause left behind": {
			map[string]string{"datapower.ibm.com/pause-expiration": "2026-01-02T03:04:05Z"}, ""},
		"a stopped service": {
			map[string]string{"datapower.ibm.com/stop": "true"}, "the service is stopped by annotation datapower.ibm.com/stop"},
		"a service that hibernates": {
			map[string]string{"datapower.ibm.com/hibernate": "true"}, "the service hibernates by annotation datapower.ibm.com/hibernate"},
	} {
		t.Run(name, func(t *testing.T) {
			in := healthy(t)
			in.Service.Annotations = tc.annotations
			assert.Equal(t, tc.want, mustCondition(t, Compute(in), datapower.ConditionWarning).Message)
		})
	}
}
