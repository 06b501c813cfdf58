// Package stock wires the reconciler of helm-operator-plugins as its documentation says, with
// nothing changed: the baseline of the benchmark and the oracle of package test/oracle.
package stock

import (
	"fmt"
	"runtime"

	"github.com/operator-framework/helm-operator-plugins/pkg/annotation"
	"github.com/operator-framework/helm-operator-plugins/pkg/reconciler"
	"helm.sh/helm/v3/pkg/chart/loader"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// Add makes the manager reconcile kind with the chart in chartPath. As in the library's own
// program there are as many workers as cores and all of the library's annotations; extra options
// are appended.
func Add(mgr manager.Manager, kind schema.GroupVersionKind, chartPath string, extra ...reconciler.Option) error {
	chrt, err := loader.Load(chartPath)
	if err != nil {
		return fmt.Errorf("load chart: %w", err)
	}
	r, err := reconciler.New(append([]reconciler.Option{
		reconciler.WithGroupVersionKind(kind),
		reconciler.WithChart(*chrt),
		reconciler.WithMaxConcurrentReconciles(runtime.NumCPU()),
		reconciler.WithInstallAnnotations(annotation.DefaultInstallAnnotations...),
		reconciler.WithUpgradeAnnotations(annotation.DefaultUpgradeAnnotations...),
		reconciler.WithUninstallAnnotations(annotation.DefaultUninstallAnnotations...),
	}, extra...)...)
	if err != nil {
		return fmt.Errorf("create stock reconciler: %w", err)
	}
	if err := r.SetupWithManager(mgr); err != nil {
		return fmt.Errorf("set up stock reconciler: %w", err)
	}
	return nil
}
