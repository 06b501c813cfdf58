// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	kubefake "k8s.io/client-go/kubernetes/fake"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
)

var update = flag.Bool("update", false, "write the golden files anew")

var now = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func before(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

const chartFolder = "../../helm-charts/datapowerservice"

// terminal is a user with a cluster.
type terminal struct {
	t       *testing.T
	objects client.Client
	input   string
	out     bytes.Buffer
	problem bytes.Buffer
}

func newTerminal(t *testing.T, objects ...client.Object) *terminal {
	s, err := Scheme()
	require.NoError(t, err)
	c := fake.NewClientBuilder().WithScheme(s).WithObjects(objects...).Build()
	return &terminal{t: t, objects: c}
}

func (u *terminal) run(args ...string) error {
	u.out.Reset()
	u.problem.Reset()
	core := kubefake.NewClientset()
	cmd := New(Options{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(u.input), Out: &u.out, ErrOut: &u.problem},
		Clock:     clocktesting.NewFakePassiveClock(now), Chart: chartFolder,
		Connect: func() (Clients, error) {
			return Clients{Objects: u.objects, Logs: core, Discovery: core.Discovery(), Namespace: "prod"}, nil
		},
	})
	cmd.SetArgs(args)
	return cmd.ExecuteContext(u.t.Context())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}

func service() *v1beta3.DataPowerService {
	return &v1beta3.DataPowerService{
		ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "gw", UID: "u1", CreationTimestamp: before(48 * time.Hour)},
		Spec: v1beta3.DataPowerServiceSpec{
			Version: "10.6-lts", Replicas: ptr.To[int32](2),
			Env: []corev1.EnvVar{{Name: "HARMLESS", Value: "hush-env"}}, InitCmds: []string{"login hush-init"},
		},
		Status: v1beta3.DataPowerServiceStatus{
			Phase:           datapower.PhaseRunning,
			Versions:        &v1beta3.Versions{Reconciled: "10.6.0.1"},
			DeployedRelease: &v1beta3.DeployedRelease{Name: "gw", Revision: 3, Chart: "datapowerservice-0.1.0", Manifest: "hush-manifest"},
			Conditions: []metav1.Condition{{
				Type: "Ready", Status: "True", Reason: "StatefulSetReady", Message: "StatefulSet replicas ready: 1/2",
			}},
		},
	}
}

func monitor(monitoring bool) *v1beta2.DataPowerMonitor {
	return &v1beta2.DataPowerMonitor{
		ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "gw", UID: "u2"},
		Spec:       v1beta2.DataPowerMonitorSpec{MonitorGatewayPeering: &monitoring, PeeringRecoveryCheckIntervalMs: ptr.To[int32](1000)},
		Status: v1beta2.DataPowerMonitorStatus{
			Phase: datapower.PhaseRunning,
			Conditions: []metav1.Condition{{
				Type: "PeeringHealthy", Status: "False", Reason: "StillStale",
				Message: "looked at 1 of 2 gateways; gw-1: default/sessions has stale peers 10.0.0.9; gw-0: 1 peering in order",
			}},
			LastWork: &v1beta2.MonitorWork{Completed: before(5 * time.Minute), Result: "Failed", PodsLookedAt: 1, StalePeersFound: 1, ResetsDone: 1},
			Resets: []v1beta2.PeeringReset{{
				Pod: "gw-1", Domain: "default", Peering: "sessions", Strategy: "admin-state", Began: before(20 * time.Second),
			}},
		},
	}
}

func pod(name, ip string, ready corev1.ConditionStatus) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "prod", Name: name, Labels: map[string]string{datapower.ServiceLabel: "gw"}, CreationTimestamp: before(time.Hour),
			Annotations: map[string]string{"kubectl.kubernetes.io/last-applied-configuration": "hush-applied"},
		},
		Spec: corev1.PodSpec{NodeName: "node-a", Containers: []corev1.Container{{
			Name: datapower.ContainerName, Args: []string{"hush-args"}, Env: []corev1.EnvVar{{Name: "A", Value: "hush-pod-env"}},
		}}},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: ip, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}},
			ContainerStatuses: []corev1.ContainerStatus{{Name: datapower.ContainerName, RestartCount: 2}},
		},
	}
	if ready == corev1.ConditionFalse {
		p.Status.ContainerStatuses[0].State.Waiting = &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}
	}
	return p
}

func event(name, kind, object, message string, ago time.Duration) *corev1.Event {
	return &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: name}, Type: "Warning", Reason: "Because", Message: message,
		InvolvedObject: corev1.ObjectReference{Kind: kind, Namespace: "prod", Name: object}, LastTimestamp: before(ago),
	}
}

func fleet() []client.Object {
	return []client.Object{
		service(), monitor(true), pod("gw-1", "10.0.0.2", corev1.ConditionFalse), pod("gw-0", "10.0.0.1", corev1.ConditionTrue),
		event("e1", "Pod", "gw-1", "older\x1b[31m with password=hush-event", 3*time.Minute),
		event("e2", "DataPowerMonitor", "gw", "newer", time.Minute),
		event("e3", "Pod", "other-0", "of another service", time.Second),
		&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "gw-init", Labels: map[string]string{datapower.ServiceLabel: "gw"}},
			Data:       map[string]string{"init": "hush-config"},
		},
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "gw-admin", Labels: map[string]string{datapower.ServiceLabel: "gw"}},
			Data:       map[string][]byte{"password": []byte("hush-secret")},
		},
	}
}

func TestEachScreenReadsAsItShould(t *testing.T) {
	for file, args := range map[string][]string{
		"status.txt":   {"status", "gw"},
		"status.json":  {"status", "gw", "-o", "json"},
		"peering.txt":  {"peering", "gw"},
		"peering.json": {"peering", "gw", "-o", "json"},
		"logs.txt":     {"logs", "gw"},
		"help.txt":     {"--help"},
		"render.yaml":  {"render", "--local", "-f", "testdata/service.yaml"},
	} {
		t.Run(file, func(t *testing.T) {
			u := newTerminal(t, fleet()...)
			require.NoError(t, u.run(args...))
			golden(t, file, u.out.String())
		})
	}
}

func TestAServiceThatHasNothingYetHasAScreenToo(t *testing.T) {
	u := newTerminal(t, &v1beta3.DataPowerService{ObjectMeta: metav1.ObjectMeta{Namespace: "prod", Name: "gw"}})
	require.NoError(t, u.run("status", "gw"))
	golden(t, "status-new.txt", u.out.String())
}

func TestControlSequencesOfMessagesDoNotReachTheTerminal(t *testing.T) {
	u := newTerminal(t, fleet()...)
	require.NoError(t, u.run("status", "gw"))
	assert.NotContains(t, u.out.String(), "\x1b")
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no name":               {[]string{"status"}, "give the name of one DataPowerService"},
		"two names":             {[]string{"peering", "a", "b"}, "give the name of one DataPowerService"},
		"no such service":       {[]string{"status", "lost"}, `no DataPowerService "lost" in namespace "prod"`},
		"another output":        {[]string{"status", "gw", "-o", "xml"}, "only json is known"},
		"no pods":               {[]string{"logs", "lost"}, "the service has no pods: prod/lost"},
		"no file":               {[]string{"render"}, "give the file with -f"},
		"diff without cluster":  {[]string{"render", "-f", "x", "--local", "--diff"}, "--diff compares with the cluster"},
		"no chart":              {[]string{"render", "-f", "testdata/service.yaml", "--local", "--chart", "nowhere"}, "--chart"},
		"a file without one":    {[]string{"render", "-f", "testdata/none.yaml", "--local"}, "holds 0, it must be one"},
		"an old version":        {[]string{"render", "-f", "testdata/old.yaml", "--local"}, "write it as datapower.ibm.com/v1beta3"},
		"no monitor":            {[]string{"reset-peering", "lost"}, `no DataPowerMonitor "lost"`},
		"values that are wrong": {[]string{"render", "-f", "testdata/wrong.yaml", "--local"}, "replicas"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.ErrorContains(t, newTerminal(t, fleet()...).run(c.args...), c.want)
		})
	}
}

func intervalOf(t *testing.T, u *terminal) int32 {
	m := &v1beta2.DataPowerMonitor{}
	require.NoError(t, u.objects.Get(t.Context(), client.ObjectKey{Namespace: "prod", Name: "gw"}, m))
	return *m.Spec.PeeringRecoveryCheckIntervalMs
}

func TestAResetIsAskedForOnlyAfterYes(t *testing.T) {
	for answer, want := range map[string]int32{"": 1000, "n\n": 1000, "yesterday\n": 1000, "y\n": 1001, "YES\n": 1001, "y": 1001} {
		t.Run(answer, func(t *testing.T) {
			u := newTerminal(t, fleet()...)
			u.input = answer
			err := u.run("reset-peering", "gw")
			assert.Equal(t, want, intervalOf(t, u))
			assert.Equal(t, want == 1000, errors.Is(err, ErrNotConfirmed))
			assert.Contains(t, u.problem.String(), "Go on? [y/N]")
		})
	}
}

func TestResetsThatAreAskedForAgainDoNotDrift(t *testing.T) {
	u := newTerminal(t, fleet()...)
	for _, want := range []int32{1001, 1000, 1001} {
		require.NoError(t, u.run("reset-peering", "gw", "--yes"))
		assert.Equal(t, want, intervalOf(t, u))
	}
}

func TestAMonitorThatDoesNotLookAfterPeeringIsNotAsked(t *testing.T) {
	u := newTerminal(t, service(), monitor(false))
	assert.ErrorIs(t, u.run("reset-peering", "gw", "--yes"), ErrNotMonitored)
	assert.EqualValues(t, 1000, intervalOf(t, u))
}

func TestAMonitorThatChangedMeanwhileIsNotChanged(t *testing.T) {
	u := newTerminal(t, fleet()...)
	c := Clients{Objects: u.objects, Namespace: "prod"}
	shown, err := monitorOf(t.Context(), c, "gw")
	require.NoError(t, err)
	require.NoError(t, askForLook(t.Context(), c, shown.DeepCopy()))
	assert.ErrorContains(t, askForLook(t.Context(), c, shown), "object was modified")
}

func TestTheArchiveHoldsNoSecrets(t *testing.T) {
	u := newTerminal(t, fleet()...)
	require.NoError(t, u.run("must-gather", "gw", "--file", "-"))
	zip, err := gzip.NewReader(&u.out)
	require.NoError(t, err)
	archive := tar.NewReader(zip)
	var names []string
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		names = append(names, strings.TrimPrefix(header.Name, "datapower-must-gather/"))
		data, err := io.ReadAll(archive)
		require.NoError(t, err)
		assert.NotContains(t, string(data), "hush", header.Name)
	}
	assert.True(t, slices.IsSorted(names))
	assert.Equal(t, []string{
		"errors.txt", "events.yaml", "logs/gw-0/datapower-previous.log", "logs/gw-0/datapower.log", "logs/gw-1/datapower-previous.log",
		"logs/gw-1/datapower.log", "objects/configmap/gw-init.yaml", "objects/datapowermonitor/gw.yaml", "objects/datapowerservice/gw.yaml",
		"objects/pod/gw-0.yaml", "objects/pod/gw-1.yaml", "status.txt",
	}, names)
}

func TestWhatLooksLikeASecretIsRemovedFromText(t *testing.T) {
	for in, want := range map[string]string{
		"login password=hush now":                           "login password=<removed> now",
		`{"passphrase": "hush hush", "x": 1}`:               `{"passphrase": <removed>, "x": 1}`,
		"Authorization: Basic aHVzaA==":                     "Authorization: <removed>",
		"  password-hashed $1$hush":                         "  password-hashed <removed>",
		"https://admin:hush@gateway:5554/":                  "https://admin:<removed>@gateway:5554/",
		"a\n-----BEGIN PRIVATE KEY-----\nhu\n-----END-x\nb": "a\n<removed>\n<removed>\n<removed>\nb",
		"the peering is in order":                           "the peering is in order",
	} {
		assert.Equal(t, want, redactLines(in))
	}
}

func TestADifferenceShowsWhatTheChartRendersAndNoSecret(t *testing.T) {
	objects, err := readAll("testdata/live.yaml", "testdata/rendered.yaml")
	require.NoError(t, err)
	text, err := unified("Secret/a", objects[0], objects[1])
	require.NoError(t, err)
	golden(t, "diff.txt", text)
	same, err := unified("Secret/a", objects[0], objects[0])
	require.NoError(t, err)
	assert.Empty(t, same)
}

func TestNamesAreCompleted(t *testing.T) {
	u := newTerminal(t, fleet()...)
	require.NoError(t, u.run("__complete", "status", ""))
	assert.Equal(t, "gw\n:4\n", u.out.String())
	require.NoError(t, u.run("completion", "bash"))
	assert.Contains(t, u.out.String(), "bash completion")
}

func TestAPodsWordsKeepTheAdviceInParentheses(t *testing.T) {
	t.Parallel()
	pods := []corev1.Pod{*pod("gw-0", "", corev1.ConditionTrue), *pod("gw-1", "", corev1.ConditionTrue), *pod("gw-2", "", corev1.ConditionTrue)}
	for name, test := range map[string]struct {
		message string
		summary []string
		words   map[string]string
	}{
		"with the separator in the advice": {
			"looked at 0 of 2 gateways; gw-0: PodNotReady: no address (Wait; if it stays, see the pod); gw-1: 1 peering in order",
			[]string{"looked at 0 of 2 gateways"},
			map[string]string{"gw-0": "PodNotReady: no address (Wait; if it stays, see the pod)", "gw-1": "1 peering in order"},
		},
		"of the service, before those of a pod": {
			"looked at 0 of 1 gateways; QuorumLost: no primary (Scale to 0; then up); gw-0: not looked at",
			[]string{"looked at 0 of 1 gateways", "QuorumLost: no primary (Scale to 0; then up)"},
			map[string]string{"gw-0": "not looked at"},
		},
		"that was cut off, and those of the next pod": {
			"looked at 0 of 2 gateways; gw-0: BadAnswer: x (See; th...; gw-1: 1 peering in order; and 3 more",
			[]string{"looked at 0 of 2 gateways", "and 3 more"},
			map[string]string{"gw-0": "BadAnswer: x (See; th...", "gw-1": "1 peering in order"},
		},
		"of a pod that is gone, which are the service's": {
			"looked at 1 of 2 gateways; gw-9: PodNotReady: y (Wait; wait); gw-1: 1 peering in order",
			[]string{"looked at 1 of 2 gateways", "gw-9: PodNotReady: y (Wait; wait)"},
			map[string]string{"gw-1": "1 peering in order"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			summary, words := splitHealth(test.message, pods)
			assert.Equal(t, test.summary, summary)
			assert.Equal(t, test.words, words)
		})
	}
}
