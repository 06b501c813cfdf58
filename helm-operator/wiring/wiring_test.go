package wiring_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/datapower-operator/datapower-operator/helm-operator/chart"
	"github.com/datapower-operator/datapower-operator/helm-operator/mapper"
	"github.com/datapower-operator/datapower-operator/helm-operator/watches"
	"github.com/datapower-operator/datapower-operator/helm-operator/wiring"
)

// newManager returns a manager of an API server with the kind Demo in some groups; it asks no API server for anything before it is started.
func newManager(t *testing.T, groups ...string) manager.Manager {
	t.Helper()
	served := meta.NewDefaultRESTMapper(nil)
	for _, group := range groups {
		served.Add(schema.GroupVersionKind{Group: group, Version: "v1", Kind: "Demo"}, meta.RESTScopeNamespace)
	}
	scheme := runtime.NewScheme()
	require.NoError(t, corev1.AddToScheme(scheme))
	mgr, err := ctrl.NewManager(&rest.Config{Host: "https://127.0.0.1:1"}, ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"},
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return served, nil },
	})
	require.NoError(t, err)
	return mgr
}

func parse(t *testing.T, text string) []watches.Watch {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "demo"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "demo", "Chart.yaml"), []byte("apiVersion: v2\nname: demo\nversion: 1.0.0\n"), 0o600))
	list, err := watches.Parse([]byte(text), dir)
	require.NoError(t, err)
	return list
}

func TestTwoGroupsMayHaveAKindOfOneName(t *testing.T) {
	require.NoError(t, wiring.Add(newManager(t, "first.test", "second.test"), wiring.Options{Watches: parse(t, `
- {group: first.test, version: v1, kind: Demo, chart: demo}
- {group: second.test, version: v1, kind: Demo, chart: demo}
`)}))
}

func TestWhatIsWrongWithAWatchNamesItsKind(t *testing.T) {
	err := wiring.Add(newManager(t), wiring.Options{Watches: parse(t, `[{group: missing.test, version: v1, kind: Lost, chart: nowhere}]`)})
	require.ErrorContains(t, err, "watch Lost: load chart")

	cause := errors.New("the defaults can't be read")
	err = wiring.Add(newManager(t), wiring.Options{
		Watches:   parse(t, `[{group: mapped.test, version: v1, kind: Mapped, chart: demo}]`),
		MapperFor: func(watches.Watch, *chart.Source) (mapper.Mapper, error) { return nil, cause },
	})
	require.ErrorIs(t, err, cause)
}
