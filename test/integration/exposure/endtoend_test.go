package exposure_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// startHelmOperator runs the helm-operator for the namespace until the test ends.
func (w *world) startHelmOperator() {
	w.Helper()
	bin := os.Getenv("DATAPOWER_BIN")
	if bin == "" {
		w.Skip("DATAPOWER_BIN is not set: there is no helm-operator to run")
	}
	user, err := cluster.env.AddUser(envtest.User{Name: "helm-operator-" + w.namespace, Groups: []string{"system:masters"}}, nil)
	require.NoError(w, err)
	kubeconfig, err := user.KubeConfig()
	require.NoError(w, err)
	path := filepath.Join(w.TempDir(), "kubeconfig")
	require.NoError(w, os.WriteFile(path, kubeconfig, 0o600))
	log := &lockedBuffer{}
	cmd := exec.Command(filepath.Join(bin, "helm-operator"), "--leader-elect=false", "--metrics-bind-address=0",
		"--health-probe-bind-address=0", "--watches-file="+filepath.Join(repository, "watches.yaml"))
	cmd.Env = append(os.Environ(), "KUBECONFIG="+path, "WATCH_NAMESPACE="+w.namespace)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(w, cmd.Start())
	w.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if w.Failed() {
			lines := strings.Split(log.String(), "\n")
			w.Logf("helm-operator:\n%s", strings.Join(lines[max(0, len(lines)-30):], "\n"))
		}
	})
}

// exposes plays the operator of Components: it makes an API of the Component of the release.
func (w *world) exposes(release, api, segment, apiType, path string) string {
	w.Helper()
	name := release + "-productcatalogmanagement-" + api
	w.apply(fmt.Sprintf(`
apiVersion: oda.tmforum.org/v1
kind: ExposedAPI
metadata:
  name: %[1]s
  labels: {oda.tmforum.org/componentName: %[2]s-productcatalogmanagement}
spec: {name: %[3]s, apiType: %[4]s, implementation: %[2]s-prodcatapi, path: %[5]s, port: 8080, segment: %[6]s}`,
		name, release, api, apiType, path, segment))
	return name
}

// The acceptance scenarios of ODA Canvas for exposed APIs (UC003-F001 to F005) and for ServiceMonitors (UC012-F002), with both
// programs. The test plays the operator of Components.
func TestTheScenariosOfODACanvas(t *testing.T) {
	newNamespace(t)
	for name, crd := range definitions(t) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, append(istioCRDs(t), crd, monitorCRD(t), componentCRD())...)
			startSidecar(t, w.namespace, nil)
			w.startHelmOperator()
			const base = "/ctk-productcatalogmanagement"
			w.service("ctk-prodcatapi")
			var names []string

			w.scene("UC003-F001: APIs of all segments are exposed", func(w *world) {
				names = append(names,
					w.exposes("ctk", "productcatalogmanagement", "coreFunction", "openapi", base+"/tmf-api/productCatalogManagement/v4"),
					w.exposes("ctk", "metrics", "managementFunction", "prometheus", base+"/metrics"),
					w.exposes("ctk", "userrolesandpermissions", "securityFunction", "openapi", base+"/tmf-api/userRolesAndPermissions/v5"))
				for _, api := range names {
					w.eventually("the VirtualService of "+api, func() bool { return w.get(virtualServiceGVK, api) != nil })
				}
			})
			w.scene("UC003-F002: each has a URL", func(w *world) {
				for _, api := range names {
					got := w.untilSays(apiGVK, api, "Routed", "True Routed")
					assert.Equal(w, "https://203.0.113.10"+text(got, "spec", "path"), text(got, "status", "apiStatus", "url"))
					assert.Equal(w, string(w.get(virtualServiceGVK, api).GetUID()), text(got, "status", "apiStatus", "uid"))
				}
			})
			w.scene("UC003-F003: each is ready", func(w *world) {
				w.endpoints("ctk-prodcatapi", "ctk", discoveryv1.AddressTypeIPv4, nil)
				for _, api := range names {
					w.until(apiGVK, api, "true", "status", "implementation", "ready")
				}
			})
			w.scene("UC012-F002: metrics have a ServiceMonitor", func(w *world) {
				w.untilSays(apiGVK, names[1], "Monitored", "True ServiceMonitorInPlace")
				endpoints := w.get(monitorGVK, names[1]).Object["spec"].(map[string]any)["endpoints"]
				assert.NotEmpty(w, endpoints)
				assert.Equal(w, "(absent)", says(w.get(apiGVK, names[0]), "Monitored"))
			})
			w.scene("both programs share the conditions", func(w *world) {
				w.untilSays(apiGVK, names[0], "Deployed", "True UpToDate")
				w.untilSays(apiGVK, names[0], "Ready", "True EndpointReady")
			})
			var promotion string
			w.scene("UC003-F004: an upgrade adds an API", func(w *world) {
				promotion = w.exposes("ctk", "promotionmanagement", "coreFunction", "openapi", base+"/tmf-api/promotionManagement/v4")
				w.until(apiGVK, promotion, "https://203.0.113.10"+base+"/tmf-api/promotionManagement/v4", "status", "apiStatus", "url")
			})
			w.scene("UC003-F005: another one removes it", func(w *world) {
				require.NoError(w, cluster.client.Delete(w.Context(), w.get(apiGVK, promotion)))
				w.eventually("the end of the VirtualService", func() bool { return w.get(virtualServiceGVK, promotion) == nil })
			})
			w.scene("a route that is deleted by hand comes back", func(w *world) {
				old := w.get(virtualServiceGVK, names[0])
				require.NoError(w, cluster.client.Delete(w.Context(), old))
				started := time.Now()
				w.eventually("the new VirtualService", func() bool {
					vs := w.get(virtualServiceGVK, names[0])
					return vs != nil && vs.GetUID() != old.GetUID()
				})
				w.Logf("it is back after %s", time.Since(started).Round(time.Millisecond))
				w.until(apiGVK, names[0], string(w.get(virtualServiceGVK, names[0]).GetUID()), "status", "apiStatus", "uid")
				w.Logf("its status follows after %s", time.Since(started).Round(time.Millisecond))
			})
			w.scene("the loser of a path gets no route", func(w *world) {
				loser := w.exposes("ctk", "zlate", "coreFunction", "openapi", base+"/metrics")
				w.untilSays(apiGVK, loser, "Routed", "False PathConflict")
				w.eventually("no VirtualService", func() bool { return w.get(virtualServiceGVK, loser) == nil })
			})
			w.scene("UC012-F002: the ServiceMonitor goes with its API", func(w *world) {
				require.NoError(w, cluster.client.Delete(w.Context(), w.get(apiGVK, names[1])))
				w.eventually("the end of the ServiceMonitor", func() bool { return w.get(monitorGVK, names[1]) == nil })
			})
			for _, api := range []string{names[0], names[2], "ctk-productcatalogmanagement-zlate"} { // while the helm-operator runs
				require.NoError(w, cluster.client.Delete(w.Context(), w.get(apiGVK, api)))
				w.eventually("the end of "+api, func() bool { return w.get(apiGVK, api) == nil })
			}
		})
	}
}

// scene is a subtest in the same world.
func (w *world) scene(name string, play func(*world)) {
	w.Run(name, func(t *testing.T) {
		inside := *w
		inside.T = t
		play(&inside)
	})
}
