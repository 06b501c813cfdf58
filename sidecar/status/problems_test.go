package status

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/sidecar/status/statustest"
)

func TestError(t *testing.T) {
	const unschedulable = "0/3 nodes are available: 3 Insufficient cpu."
	twoUsersAndADomain := withSpec(func(spec *v1beta3.DataPowerServiceSpec) {
		spec.Users = append(spec.Users, v1beta3.User{Name: "dev", PasswordSecret: "dev-credentials", AccessLevel: "group-defined"})
		spec.Domains = []v1beta3.Domain{{Name: "shop", DPApp: &v1beta3.DPApp{Config: []string{"shop-config"}}}}
	})
	failed := func(conditionType, reason, message string) func(*Input) {
		return withService(statustest.WithCondition(conditionType, metav1.ConditionTrue, 1, reason, message))
	}

	for name, tc := range map[string]struct {
		change          []func(*Input)
		reason, message string
	}{
		"a missing Secret is named with the field that wants it": {
			change: []func(*Input){withObjects(nil)},
			reason: "ReferenceNotFound", message: `Secret "admin-credentials" not found (spec.users[0].passwordSecret)`,
		},
		"all missing objects are listed in the order of the spec": {
			change: []func(*Input){twoUsersAndADomain, withObjects(nil)},
			reason: "ReferenceNotFound",
			message: `Secret "admin-credentials" not found (spec.users[0].passwordSecret); ` +
				`Secret "dev-credentials" not found (spec.users[1].passwordSecret); ` +
				`ConfigMap "shop-config" not found (spec.domains[0].dpApp.config[0])`,
		},
		"a Secret that two users share is missing once": {
			change: []func(*Input){withObjects(nil), withSpec(func(spec *v1beta3.DataPowerServiceSpec) {
				spec.Users = append(spec.Users, v1beta3.User{Name: "dev", PasswordSecret: "admin-credentials"})
			})},
			reason: "ReferenceNotFound", message: `Secret "admin-credentials" not found (spec.users[0].passwordSecret)`,
		},
		"a passphrase Secret without a passphrase names the one key": {
			change: []func(*Input){
				withSpec(func(spec *v1beta3.DataPowerServiceSpec) {
					spec.Domains = []v1beta3.Domain{{Name: "shop", Settings: &v1beta3.DomainSettings{Passphrase: &v1beta3.Passphrase{Secret: "pass"}}}}
				}),
				withObjects(Objects{
					{v1beta3.KindSecret, "admin-credentials"}: sets.New("password"), {v1beta3.KindSecret, "pass"}: sets.New("password"),
				}),
			},
			reason:  "ReferenceKeyNotFound",
			message: `Secret "pass" has no key "passphrase" (spec.domains[0].settings.passphrase.secret)`,
		},
		"only what is missing is listed": {
			change: []func(*Input){twoUsersAndADomain, withObjects(Objects{
				{v1beta3.KindSecret, "admin-credentials"}: sets.New("password"), {v1beta3.KindConfigMap, "shop-config"}: nil,
			})},
			reason: "ReferenceNotFound", message: `Secret "dev-credentials" not found (spec.users[1].passwordSecret)`,
		},
		"a ConfigMap of the same name does not stand in for a Secret": {
			change: []func(*Input){withObjects(Objects{{v1beta3.KindConfigMap, "admin-credentials"}: nil})},
			reason: "ReferenceNotFound", message: `Secret "admin-credentials" not found (spec.users[0].passwordSecret)`,
		},
		"a user's Secret with neither form of password names keys and field": {
			change:  []func(*Input){withObjects(Objects{{v1beta3.KindSecret, "admin-credentials"}: sets.New("pasword")})},
			reason:  "ReferenceKeyNotFound",
			message: `Secret "admin-credentials" has no key "password" or "password-hashed" (spec.users[0].passwordSecret)`,
		},
		"missing objects come before missing keys": {
			change: []func(*Input){twoUsersAndADomain, withObjects(Objects{
				{v1beta3.KindSecret, "admin-credentials"}: {}, {v1beta3.KindSecret, "dev-credentials"}: sets.New("password"),
			})},
			reason: "ReferenceNotFound",
			message: `ConfigMap "shop-config" not found (spec.domains[0].dpApp.config[0]); ` +
				`Secret "admin-credentials" has no key "password" or "password-hashed" (spec.users[0].passwordSecret)`,
		},
		"a failed release carries the helm-operator's message": {
			change: []func(*Input){failed(datapower.ConditionReleaseFailed, "UpgradeError", "StatefulSet is invalid: spec: Forbidden")},
			reason: "ReleaseFailed", message: "StatefulSet is invalid: spec: Forbidden",
		},
		"a failed release without a message carries its reason": {
			change: []func(*Input){failed(datapower.ConditionReleaseFailed, "UpgradeError", "")},
			reason: "ReleaseFailed", message: "UpgradeError",
		},
		"an irreconcilable service carries the helm-operator's message": {
			change: []func(*Input){failed(datapower.ConditionIrreconcilable, "RenderError", "spec.version: unknown channel")},
			reason: "Irreconcilable", message: "spec.version: unknown channel",
		},
		"a missing reference that both programs see is told once": {
			change: []func(*Input){
				withObjects(nil),
				failed(datapower.ConditionIrreconcilable, "ReferenceNotFound", `Secret "other" not found (spec.users[9].passwordSecret)`),
			},
			reason: "ReferenceNotFound", message: `Secret "admin-credentials" not found (spec.users[0].passwordSecret)`,
		},
		"a missing reference that only the helm-operator sees is told with the same reason": {
			change: []func(*Input){failed(datapower.ConditionIrreconcilable, "ReferenceNotFound", `Secret "gw-shop-passphrase" not found (x)`)},
			reason: "ReferenceNotFound", message: `Secret "gw-shop-passphrase" not found (x)`,
		},
		"a missing Secret comes before the failed release that it explains": {
			change:  []func(*Input){withObjects(nil), failed(datapower.ConditionReleaseFailed, "InstallError", "timed out")},
			reason:  "ReferenceNotFound",
			message: `Secret "admin-credentials" not found (spec.users[0].passwordSecret); timed out`,
		},
		"an unschedulable pod carries the scheduler's words": {
			change: []func(*Input){withPod(1, statustest.NotScheduled("Unschedulable", unschedulable))},
			reason: "Unschedulable", message: `Pod "gw-1": cannot be scheduled: ` + unschedulable,
		},
		"pods with the same problem are told together": {
			change: []func(*Input){
				withPod(2, statustest.NotScheduled("Unschedulable", unschedulable)),
				withPod(0, statustest.NotScheduled("Unschedulable", unschedulable)),
			},
			reason: "Unschedulable", message: `Pods "gw-0", "gw-2": cannot be scheduled: ` + unschedulable,
		},
		"a scheduler that fails counts as unschedulable": {
			change: []func(*Input){withPod(0, statustest.NotScheduled("SchedulerError", "boom"))},
			reason: "Unschedulable", message: `Pod "gw-0": cannot be scheduled: boom`,
		},
		"an image that cannot be pulled is told with its cause": {
			change: []func(*Input){withPod(0, statustest.Waiting("ErrImagePull", "not found"))},
			reason: "ImagePullBackOff", message: `Pod "gw-0": container "datapower": ImagePullBackOff: cannot pull image "example.com/datapower:1": not found`,
		},
		"the wait for the next pull is told in the same words as the failed pull": {
			change: []func(*Input){withPod(0, statustest.Waiting("ImagePullBackOff",
				`Back-off pulling image "example.com/datapower:1": ErrImagePull: not found`))},
			reason: "ImagePullBackOff", message: `Pod "gw-0": container "datapower": ImagePullBackOff: cannot pull image "example.com/datapower:1": not found`,
		},
		"a crash loop is told by its last exit and not by its growing back-off": {
			change: []func(*Input){withPod(0, statustest.Ended(4, 137, "OOMKilled"), statustest.Waiting("CrashLoopBackOff", "back-off 40s restarting"))},
			reason: "CrashLoopBackOff", message: `Pod "gw-0": container "datapower": CrashLoopBackOff: last exit code 137 (OOMKilled)`,
		},
		"a crash loop of which nothing else is known is told bare": {
			change: []func(*Input){withPod(0, statustest.Waiting("CrashLoopBackOff", "back-off 40s restarting"))},
			reason: "CrashLoopBackOff", message: `Pod "gw-0": container "datapower": CrashLoopBackOff`,
		},
		"while one pod waits in a crash loop its twin between two attempts is told too": {
			change: []func(*Input){
				withPod(0, statustest.Ended(4, 1, "Error"), statustest.Waiting("CrashLoopBackOff", "back-off")),
				withPod(1, statustest.Ended(3, 1, "Error"), statustest.NotReady()),
			},
			reason: "CrashLoopBackOff", message: `Pods "gw-0", "gw-1": container "datapower": CrashLoopBackOff: last exit code 1 (Error)`,
		},
		"a crash loop stays told while the container makes its next attempt": {
			change: []func(*Input){
				withPod(0, statustest.Ended(4, 1, "Error"), statustest.NotReady()),
				failed(datapower.ConditionError, "CrashLoopBackOff", "whatever it said"),
			},
			reason: "CrashLoopBackOff", message: `Pod "gw-0": container "datapower": CrashLoopBackOff: last exit code 1 (Error)`,
		},
		"a container that needs a missing key is told in the kubelet's words": {
			change:  []func(*Input){withPod(0, statustest.Waiting("CreateContainerConfigError", `couldn't find key x in Secret ns/s`))},
			reason:  "CreateContainerConfigError",
			message: `Pod "gw-0": container "datapower": CreateContainerConfigError: couldn't find key x in Secret ns/s`,
		},
		"an image name that is none is told": {
			change: []func(*Input){withPod(0, statustest.Waiting("InvalidImageName", "couldn't parse image"))},
			reason: "InvalidImageName", message: `Pod "gw-0": container "datapower": InvalidImageName: couldn't parse image`,
		},
		"a container that cannot be started is told": {
			change: []func(*Input){withPod(0, statustest.Waiting("RunContainerError", ""))},
			reason: "RunContainerError", message: `Pod "gw-0": container "datapower": RunContainerError`,
		},
		"a waiting reason that the API would refuse is replaced": {
			change: []func(*Input){withPod(0, statustest.Waiting("what is this?", "odd"))},
			reason: "ContainerWaiting", message: `Pod "gw-0": container "datapower": what is this?: odd`,
		},
		"an init container is called one": {
			change: []func(*Input){withPod(0, statustest.InitWaiting("prepare", "CreateContainerError", "no space"))},
			reason: "CreateContainerError", message: `Pod "gw-0": init container "prepare": CreateContainerError: no space`,
		},
		"scheduling comes before containers": {
			change: []func(*Input){
				withPod(0, statustest.Waiting("InvalidImageName", "")),
				withPod(1, statustest.NotScheduled("Unschedulable", "full")),
			},
			reason:  "Unschedulable",
			message: `Pod "gw-1": cannot be scheduled: full; Pod "gw-0": container "datapower": InvalidImageName`,
		},
		"line breaks in messages become blanks": {
			change: []func(*Input){failed(datapower.ConditionReleaseFailed, "UpgradeError", "two errors:\n\t* a\n\t* b\n")},
			reason: "ReleaseFailed", message: "two errors: * a * b",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Compute(healthy(t, tc.change...))
			c := mustCondition(t, got, datapower.ConditionError)
			assert.Equal(t, metav1.ConditionTrue, c.Status)
			assert.Equal(t, tc.reason, c.Reason)
			assert.Equal(t, tc.message, c.Message)
			assert.Equal(t, datapower.PhaseFailed, got.Phase)
		})
	}
}

func TestNoError(t *testing.T) {
	for name, change := range map[string][]func(*Input){
		"a healthy service has none":                            nil,
		"a hashed password is a password":                       {withObjects(Objects{{v1beta3.KindSecret, "admin-credentials"}: sets.New("password-hashed", "salt")})},
		"keys that nobody has read prove nothing":               {withObjects(Objects{{v1beta3.KindSecret, "admin-credentials"}: nil})},
		"a container that is being created is on its way":       {withPod(0, statustest.Waiting("ContainerCreating", ""))},
		"a pod that runs its init containers is on its way":     {withPod(0, statustest.Waiting("PodInitializing", ""))},
		"a container that waits without a reason is on its way": {withPod(0, statustest.Waiting("", ""))},
		"a pod that waits for its gates is on its way":          {withPod(0, statustest.NotScheduled(corev1.PodReasonSchedulingGated, "waiting"))},
		"a pod that is being deleted is past caring":            {withPod(0, statustest.Waiting("CrashLoopBackOff", ""), statustest.Terminating())},
		"a first restart is no crash loop":                      {withPod(0, statustest.Ended(1, 137, "OOMKilled"), statustest.NotReady())},
		"a crash loop ends when the container is ready": {
			withPod(0, statustest.Ended(9, 1, "Error")),
			withService(statustest.WithCondition(datapower.ConditionError, metav1.ConditionTrue, 1, "CrashLoopBackOff", "")),
		},
		"a former error of another kind does not make a restart a crash loop": {
			withPod(0, statustest.Ended(2, 1, "Error"), statustest.NotReady()),
			withService(statustest.WithCondition(datapower.ConditionError, metav1.ConditionTrue, 1, "Unschedulable", "")),
		},
		"a crash loop that is over does not make a restart a new one": {
			withPod(0, statustest.Ended(2, 1, "Error"), statustest.NotReady()),
			withService(statustest.WithCondition(datapower.ConditionError, metav1.ConditionFalse, 1, "CrashLoopBackOff", "")),
		},
		"an optional environment variable may lack its Secret": {withSpec(func(spec *v1beta3.DataPowerServiceSpec) {
			yes := true
			spec.Env = []corev1.EnvVar{{Name: "X", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: "maybe"}, Key: "k", Optional: &yes}}}}
		})},
		"a failure that is over is over": {withService(
			statustest.WithCondition(datapower.ConditionReleaseFailed, metav1.ConditionFalse, 1, "UpgradeSuccessful", "was bad"),
			statustest.WithCondition(datapower.ConditionIrreconcilable, metav1.ConditionUnknown, 1, "X", "unknown"),
		)},
	} {
		t.Run(name, func(t *testing.T) {
			got := Compute(healthy(t, change...))
			c := mustCondition(t, got, datapower.ConditionError)
			assert.Equal(t, metav1.ConditionFalse, c.Status, c.Message)
			assert.Equal(t, "NoError", c.Reason)
			assert.Empty(t, c.Message)
			assert.Equal(t, datapower.PhaseRunning, got.Phase)
		})
	}
}

func TestMessagesAreBounded(t *testing.T) {
	long := strings.Repeat("ä", 4000)
	in := healthy(t, withService(statustest.WithCondition(datapower.ConditionReleaseFailed, metav1.ConditionTrue, 1, "UpgradeError", long)))
	in.Pods = nil
	for i := range 40 {
		in.Pods = append(in.Pods, statustest.Pod(in.StatefulSet, i, statustest.Waiting("RunContainerError", strings.Repeat("x", i+1))))
	}

	message := mustCondition(t, Compute(in), datapower.ConditionError).Message

	assert.Less(t, len(message), 32768, "the API's limit")
	assert.True(t, strings.HasSuffix(message, "; and 21 more"), "41 problems, 20 told: ...%s", message[len(message)-40:])
	first, _, _ := strings.Cut(message, "; ")
	assert.LessOrEqual(t, len(first), 1024)
	assert.Equal(t, strings.Repeat("ä", 510)+"...", first, "cut between characters: 510 of two bytes and the mark fit, one more does not")
}
