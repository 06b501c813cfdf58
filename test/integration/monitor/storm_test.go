package monitor_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/datapower-operator/datapower-operator/api/datapower"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta2"
	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/test/cluster"
	"github.com/datapower-operator/datapower-operator/test/gateway"
	"github.com/datapower-operator/datapower-operator/test/gateway/config"
)

// stormVariable is how many services with three pods each lose all their pods at once; make bench-storm sets it.
const stormVariable = "MONITOR_STORM"

// stormDebounce is that of every monitor in the storm.
const stormDebounce = 10 * time.Second

// TestStorm deletes all pods of many services at once, and again when all is quiet. It judges no times: it prints them. It
// requires that every service gets its work, that no monitor works twice at once, and that the second storm leaves no more
// behind than the first.
func TestStorm(t *testing.T) {
	count, err := strconv.Atoi(os.Getenv(stormVariable))
	if err != nil || count < 1 {
		t.Skipf("takes minutes: set %s to a number of services (make bench-storm does)", stormVariable)
	}
	w := newStormWorld(t)
	w.playKubelet()
	w.metrics = freeAddress(t)
	w.startSidecar()
	w.populate(count)
	w.settle(count)
	works := w.recordWorks()
	t.Logf("before: %s", w.usage())
	first := w.storm(count)
	second := w.storm(count)
	w.noneTwiceAtOnce(works())
	assert.LessOrEqual(t, second.goroutines, first.goroutines*1.1+20)
	assert.LessOrEqual(t, second.heap, first.heap*1.15+4<<20)
	for _, name := range []string{"timer_lateness_seconds", "debounce_wait_seconds", "work_duration_seconds", "work_runs_total", "pod_events_total"} {
		t.Logf("%s", w.scrape("datapower_operator_monitor_"+name))
	}
}

// leftovers are what the sidecar keeps when all is quiet: goroutines, and twice the bytes that its heap needs.
type leftovers struct{ goroutines, heap float64 }

// storm deletes all pods and waits until all is quiet again.
func (w *world) storm(count int) leftovers {
	w.Helper()
	begin := time.Now()
	runs := w.runs()
	w.each(count, func(name string) error {
		return w.kube.DeleteAllOf(w.Context(), &corev1.Pod{}, client.InNamespace("default"), client.MatchingLabels{datapower.ServiceLabel: name})
	})
	w.Logf("all pods deleted in %s", time.Since(begin).Round(time.Millisecond))
	w.untilLong("all pods back", func() error { return w.allRunning(count) })
	w.Logf("all pods back after %s", time.Since(begin).Round(time.Millisecond))
	w.settle(count)
	w.Logf("all work done after %s", time.Since(begin).Round(time.Millisecond))
	w.worked(count, begin)
	w.Logf("%.2f works for each service", float64(w.runs()-runs)/float64(count))
	time.Sleep(20 * time.Second) // until connections that nobody uses are closed
	// What is collected now has no use any more. Go collects at least every two minutes.
	collections := w.number("go_gc_duration_seconds_count")
	w.untilLong("a garbage collection", func() error {
		if w.number("go_gc_duration_seconds_count") <= collections {
			return errWaiting
		}
		return nil
	})
	w.Logf("after: %s", w.usage())
	return leftovers{w.number("go_goroutines"), w.number("go_memstats_next_gc_bytes")}
}

// number is the value of a metric without labels.
func (w *world) number(metric string) float64 {
	w.Helper()
	for line := range strings.Lines(w.scrape(metric)) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); name == metric {
			number, err := strconv.ParseFloat(value, 64)
			require.NoError(w, err, line)
			return number
		}
	}
	w.Fatalf("there is no metric %s", metric)
	return 0
}

// recordWorks notes every work that a monitor tells of from now on, until the returned function is called.
func (w *world) recordWorks() func() map[string][]v1beta2.MonitorWork {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	done := make(chan map[string][]v1beta2.MonitorWork, 1)
	runs := w.runs()
	go func() {
		found := map[string][]v1beta2.MonitorWork{}
		for version := ""; ctx.Err() == nil; { // the API server ends a watch now and then
			version = w.followWorks(ctx, version, found)
		}
		done <- found
	}()
	return func() map[string][]v1beta2.MonitorWork {
		cancel()
		found := <-done
		told := 0
		for _, works := range found {
			told += len(works) - 1 // the first one was there before
		}
		w.Logf("monitors told of %d works, and did %d", told, w.runs()-runs)
		require.Positive(w, told)
		return found
	}
}

// followWorks notes works from a resourceVersion on, until the watch ends, and returns where to go on.
func (w *world) followWorks(ctx context.Context, version string, found map[string][]v1beta2.MonitorWork) string {
	watching, err := w.kube.Watch(ctx, &v1beta2.DataPowerMonitorList{}, client.InNamespace("default"),
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: version}})
	if err != nil {
		time.Sleep(tick)
		return version
	}
	defer watching.Stop()
	for event := range watching.ResultChan() {
		monitor, ok := event.Object.(*v1beta2.DataPowerMonitor)
		if !ok {
			return "" // too old
		}
		version = monitor.ResourceVersion
		works := found[monitor.Name]
		if work := monitor.Status.LastWork; work != nil && (len(works) == 0 || works[len(works)-1] != *work) {
			found[monitor.Name] = append(works, *work)
		}
	}
	return version
}

// noneTwiceAtOnce requires that no work of a monitor began before the one before had ended. Times are whole seconds.
func (w *world) noneTwiceAtOnce(works map[string][]v1beta2.MonitorWork) {
	w.Helper()
	for name, all := range works {
		for i := 1; i < len(all); i++ {
			assert.False(w, all[i].Started.Before(&all[i-1].Completed), "%s: %+v and %+v", name, all[i-1], all[i])
		}
	}
}

// newStormWorld is a world whose control plane is not slowed down, without the helm-operator, of which the test makes what
// it would, and without nodes.
func newStormWorld(t *testing.T) *world {
	t.Helper()
	w := newWorldOf(t, worldOptions{
		cluster: cluster.Options{ControllerManagerArgs: []string{
			"--kube-api-qps=1000", "--kube-api-burst=2000", "--concurrent-statefulset-syncs=20"}},
		fleet: gateway.FleetOptions{Files: func(*corev1.Pod) (config.Files, error) { return stormFiles, nil }},
		alone: true,
	})
	return w
}

// playKubelet lets every pod run as soon as it exists, at an address that no pod had before. kwok is not up to it: it
// deletes by name what it has seen terminate, which under load is the successor.
func (w *world) playKubelet() {
	w.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	w.Cleanup(func() { cancel(); running.Wait() })
	running.Go(func() {
		addresses := uint32(0)
		for ctx.Err() == nil {
			list := &corev1.PodList{}
			err := w.kube.List(ctx, list, client.InNamespace("default"), client.MatchingFields{"status.phase": "Pending"})
			if err != nil && ctx.Err() == nil {
				w.Logf("list the pods: %v", err)
			}
			var patches errgroup.Group
			patches.SetLimit(32)
			for i := range list.Items {
				pod := &list.Items[i]
				addresses++
				address := fmt.Sprintf("10.%d.%d.%d", addresses>>16, addresses>>8&255, addresses&255)
				patches.Go(func() error { w.run(ctx, pod, address); return nil })
			}
			_ = patches.Wait()
			time.Sleep(50 * time.Millisecond)
		}
	})
}

// run makes a pod Running and Ready at an address.
func (w *world) run(ctx context.Context, pod *corev1.Pod, address string) {
	patch := client.RawPatch(types.StrategicMergePatchType, fmt.Appendf(nil, `{"metadata":{"uid":%q},"status":{"phase":"Running",`+
		`"podIP":%q,"podIPs":[{"ip":%q}],"conditions":[{"type":"Ready","status":"True"}]}}`, pod.UID, address, address))
	err := w.kube.Status().Patch(ctx, pod, patch)
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) && ctx.Err() == nil {
		w.Logf("run %s: %v", pod.Name, err)
	}
}

// stormPassword is the password of the hash below, which is in the documentation of DataPowerService.
const stormPassword = "helloworld"

// stormFiles configure each gateway: one user, the REST management interface and one peering.
var stormFiles = config.Files{
	"drouter/config/auto-startup.cfg": []byte("top; configure terminal;\nexec \"config:///auto-user.cfg\"\n" +
		"rest-mgmt\n  admin-state enabled\n  local-address 0.0.0.0 5554\nexit\ndomain \"apiconnect\"\nexit\n"),
	"drouter/config/auto-user.cfg": []byte("user \"admin\"\n  password-hashed \"$1$12345678$8.nskQfP4gQ8tk5xw6Wa8/\"\n" +
		"  access-level privileged\nexit\n"),
	"drouter/config/apiconnect/apiconnect.cfg": []byte("gateway-peering \"gwd\"\n  local-port 16380\nexit\n"),
}

// populate makes the services. Their pods mount nothing.
func (w *world) populate(count int) {
	w.Helper()
	require.NoError(w, w.kube.Create(w.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "admin-credentials"}, StringData: map[string]string{"password": stormPassword}}))
	require.NoError(w, w.kube.Create(w.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "certificates"}, Data: map[string][]byte{"tls.crt": w.certificate()}}))
	w.each(count, w.stormService)
}

// each does something to every service, to many at once.
func (w *world) each(count int, do func(name string) error) {
	w.Helper()
	var workers sync.WaitGroup
	next := make(chan string)
	for range 32 {
		workers.Go(func() {
			for name := range next {
				if err := do(name); err != nil {
					w.Errorf("%s: %v", name, err)
				}
			}
		})
	}
	for i := range count {
		next <- fmt.Sprintf("gw%04d", i)
	}
	close(next)
	workers.Wait()
}

// stormService makes one service as the helm-operator would.
func (w *world) stormService(name string) error {
	meta := metav1.ObjectMeta{Namespace: "default", Name: name}
	service := &v1beta3.DataPowerService{ObjectMeta: meta, Spec: v1beta3.DataPowerServiceSpec{
		Replicas: new(int32(3)), Version: "10.6-lts",
		License: v1beta3.License{Accept: true, License: "L-BMSF-5YDSLR", Use: v1beta3.LicenseUseNonproduction},
		Users:   []v1beta3.User{{Name: "admin", PasswordSecret: "admin-credentials", AccessLevel: "privileged"}},
	}}
	monitor := &v1beta2.DataPowerMonitor{ObjectMeta: meta, Spec: v1beta2.DataPowerMonitorSpec{
		LifecycleDebounceMs: new(int32(stormDebounce.Milliseconds())), MonitorGatewayPeering: new(true),
		RestManagement: &v1beta2.RestManagement{TLS: &v1beta2.GatewayTLS{SecretName: "certificates"}},
	}}
	for _, object := range []client.Object{monitor, service} {
		if err := w.kube.Create(w.Context(), object); err != nil {
			return err
		}
	}
	labels := map[string]string{datapower.ServiceLabel: name}
	set := &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{
		Replicas: new(int32(3)), PodManagementPolicy: appsv1.ParallelPodManagement, Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: datapower.ContainerName, Image: "example.com/datapower:1"}},
		}},
	}}
	set.Labels = labels
	set.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(service, v1beta3.GroupVersion.WithKind("DataPowerService"))}
	return w.kube.Create(w.Context(), set)
}

// allRunning tells which pods are missing.
func (w *world) allRunning(count int) error {
	live := len(w.fleet.Instances())
	if live != 3*count {
		return fmt.Errorf("%w: %d of %d gateways live", errWaiting, live, 3*count)
	}
	return nil
}

// settle waits until all pods run, all peerings are healthy and no monitor has anything to do.
func (w *world) settle(count int) {
	w.Helper()
	w.untilLong("all gateways", func() error { return w.allRunning(count) })
	w.untilLong("all idle", func() error {
		list := &v1beta2.DataPowerMonitorList{}
		require.NoError(w, w.kube.List(w.Context(), list))
		busy := 0
		for _, monitor := range list.Items {
			status := monitor.Status
			if status.WorkPending || status.WorkInProgress || status.LastWork == nil || w.fleet.Healed("default", monitor.Name) != nil {
				busy++
			}
		}
		if busy > 0 {
			return fmt.Errorf("%w: %d of %d monitors", errWaiting, busy, len(list.Items))
		}
		time.Sleep(time.Second)
		return nil
	})
}

// longPatience bounds the waits of a storm.
const longPatience = 15 * time.Minute

func (w *world) untilLong(what string, check func() error) {
	w.Helper()
	for deadline := time.Now().Add(longPatience); ; time.Sleep(time.Second) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			w.Fatalf("%s: %v", what, err)
		}
	}
}

// usage is what the sidecar needs.
func (w *world) usage() string {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.root.sidecar.cmd.Process.Pid))
	require.NoError(w, err)
	var memory []string
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmRSS") || strings.HasPrefix(line, "VmHWM") {
			memory = append(memory, strings.Join(strings.Fields(line), " "))
		}
	}
	return strings.Join(memory, ", ") + ", " + strings.ReplaceAll(strings.TrimSpace(w.scrape("go_goroutines ")+
		w.scrape("go_memstats_heap_inuse_bytes ")+w.scrape("process_cpu_seconds_total ")), "\n", ", ")
}

// worked requires that every service had work since a time, in whole seconds.
func (w *world) worked(count int, since time.Time) {
	w.Helper()
	list := &v1beta2.DataPowerMonitorList{}
	require.NoError(w, w.kube.List(w.Context(), list))
	worked := 0
	for _, monitor := range list.Items {
		if work := monitor.Status.LastWork; work != nil && !work.Started.Time.Before(since.Truncate(time.Second)) {
			worked++
		}
	}
	require.Equal(w, count, worked, "every service has its work")
}

// runs is how many works there were.
func (w *world) runs() (total int) {
	w.Helper()
	for line := range strings.Lines(w.scrape("datapower_operator_monitor_work_runs_total")) {
		fields := strings.Fields(line)
		count, err := strconv.Atoi(fields[len(fields)-1])
		require.NoError(w, err)
		total += count
	}
	return total
}
