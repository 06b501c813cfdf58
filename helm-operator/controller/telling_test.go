package controller

import (
	"testing"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/datapower-operator/datapower-operator/helm-operator/metrics"
	"github.com/datapower-operator/datapower-operator/helm-operator/status"
)

func TestTheStateOfAReleaseInOneWord(t *testing.T) {
	is := func(conditionType string, s metav1.ConditionStatus) metav1.Condition {
		return metav1.Condition{Type: conditionType, Status: s}
	}
	initialized, deployed := is(status.Initialized, metav1.ConditionTrue), is(status.Deployed, metav1.ConditionTrue)
	for name, tc := range map[string]struct {
		conditions []metav1.Condition
		want       metrics.State
	}{
		"nothing is known":                 {nil, metrics.Pending},
		"it was seen":                      {[]metav1.Condition{initialized}, metrics.Pending},
		"it is deployed":                   {[]metav1.Condition{initialized, deployed}, metrics.Deployed},
		"an upgrade failed":                {[]metav1.Condition{deployed, is(status.ReleaseFailed, metav1.ConditionTrue)}, metrics.Failed},
		"it cannot be rendered any more":   {[]metav1.Condition{deployed, is(status.Irreconcilable, metav1.ConditionTrue)}, metrics.Irreconcilable},
		"it hibernates":                    {[]metav1.Condition{{Type: status.Deployed, Status: metav1.ConditionFalse, Reason: "Hibernated"}}, metrics.Uninstalled},
		"a kind of it is not served":       {[]metav1.Condition{{Type: status.Deployed, Status: metav1.ConditionFalse, Reason: "KindNotServed"}}, metrics.Pending},
		"an uninstall failed":              {[]metav1.Condition{is(status.Deployed, metav1.ConditionFalse), is(status.ReleaseFailed, metav1.ConditionTrue)}, metrics.Failed},
		"what failed once is over by now":  {[]metav1.Condition{deployed, is(status.ReleaseFailed, metav1.ConditionFalse)}, metrics.Deployed},
		"whether it is deployed is unsure": {[]metav1.Condition{is(status.Deployed, metav1.ConditionUnknown)}, metrics.Pending},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, tc.want, releaseState(tc.conditions)) })
	}
}
