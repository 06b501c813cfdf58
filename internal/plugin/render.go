// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"helm.sh/helm/v3/pkg/chartutil"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/helm-operator/action"
	"github.com/datapower-operator/datapower-operator/helm-operator/chart"
	"github.com/datapower-operator/datapower-operator/helm-operator/inventory"
	"github.com/datapower-operator/datapower-operator/helm-operator/mapper"
	"github.com/datapower-operator/datapower-operator/helm-operator/mapper/datapowerservice"
	"github.com/datapower-operator/datapower-operator/helm-operator/references"
	"github.com/datapower-operator/datapower-operator/helm-operator/release"
	"github.com/datapower-operator/datapower-operator/helm-operator/render"
	"github.com/datapower-operator/datapower-operator/helm-operator/values"
)

// ErrNoService says that a file holds no DataPowerService that can be rendered.
var ErrNoService = errors.New("no DataPowerService to render")

// fieldManager is the plugin's name in dry runs; nothing is ever stored with it.
const fieldManager = "kubectl-datapower"

// localKubeVersion is the Kubernetes version that --local renders for: that of the client libraries.
const localKubeVersion = "v1.37.0"

func newRender(o Options) *cobra.Command {
	var file, chartDir string
	var local, diff bool
	var output format
	cmd := &cobra.Command{
		Use:   "render -f FILE",
		Short: "Print what the operator would apply for a DataPowerService",
		Long: `Print what the operator would apply for a DataPowerService.

The API server validates the file and fills in defaults (a dry run), and the Secrets and ConfigMaps that it names are
read, as the operator does. With --local no cluster is asked: the file is rendered as "helm template" would.`,
		Args: cobra.NoArgs,
	}
	output.bind(cmd)
	cmd.Flags().StringVarP(&file, "filename", "f", "", "file with one DataPowerService, - for standard input")
	cmd.Flags().StringVar(&chartDir, "chart", o.Chart, "folder or archive of the operator's chart")
	cmd.Flags().BoolVar(&local, "local", false, "ask no cluster")
	cmd.Flags().BoolVar(&diff, "diff", false, "print how the live objects would change")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case output.check() != nil:
			return output.check()
		case file == "":
			return fmt.Errorf("%w: give the file with -f", ErrUsage)
		case local && diff:
			return fmt.Errorf("%w: --diff compares with the cluster, --local asks none", ErrUsage)
		case diff && output != "":
			return fmt.Errorf("%w: --diff has no other output", ErrUsage)
		}
		cr, err := readService(file, o.In)
		if err != nil {
			return err
		}
		var c *Clients
		if !local {
			connected, err := o.Connect()
			if err != nil {
				return err
			}
			c = &connected
		}
		return runRender(contextOf(cmd), o, renderRequest{cr: cr, chart: chartDir, clients: c, diff: diff, json: output == "json"})
	}
	return cmd
}

type renderRequest struct {
	cr      *unstructured.Unstructured
	chart   string
	clients *Clients // nil for none
	diff    bool
	json    bool
}

func runRender(ctx context.Context, o Options, req renderRequest) error {
	source, err := chart.Load(req.chart)
	if err != nil {
		return fmt.Errorf("%w: name the operator's chart with --chart", err)
	}
	objects, err := renderService(ctx, source, req, o.Clock)
	if err != nil {
		return err
	}
	switch {
	case req.diff:
		return writeDiffs(ctx, *req.clients, req.cr, objects, o.Out)
	case req.json:
		items := make([]any, 0, len(objects))
		for _, u := range objects {
			items = append(items, u.Object)
		}
		return writeJSON(o.Out, map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
	}
	for _, u := range objects {
		text, err := yaml.Marshal(u.Object)
		if err != nil {
			return fmt.Errorf("write %s %s: %w", u.GetKind(), u.GetName(), err)
		}
		fmt.Fprintf(o.Out, "---\n%s", text)
	}
	return nil
}

// renderService returns what the chart makes of the service, in install order.
func renderService(ctx context.Context, source *chart.Source, req renderRequest, now clock.PassiveClock) ([]*unstructured.Unstructured, error) {
	cr, caps := req.cr, chartutil.DefaultCapabilities.Copy()
	caps.KubeVersion = chartutil.KubeVersion{Version: localKubeVersion, Major: "1", Minor: "37"}
	var mapped map[string]any
	if req.clients != nil {
		if cr.GetNamespace() == "" {
			cr.SetNamespace(req.clients.Namespace)
		}
		var err error
		if cr, err = accepted(ctx, *req.clients, cr); err != nil {
			return nil, err
		}
		if mapped, err = mapService(ctx, source, *req.clients, cr); err != nil {
			return nil, err
		}
		if caps, err = action.NewCapabilities(req.clients.Discovery, now).Get(); err != nil {
			return nil, fmt.Errorf("ask what the cluster offers: %w", err)
		}
	}
	if cr.GetNamespace() == "" {
		cr.SetNamespace("default")
	}
	vals, err := valuesOf(cr, mapped)
	if err != nil {
		return nil, err
	}
	out, err := render.Render(render.Request{
		Chart: source.Copy(), Values: vals, Capabilities: caps, Valid: source.Valid,
		Release: chartutil.ReleaseOptions{Name: release.NameFor(cr.GetName()), Namespace: cr.GetNamespace(), Revision: 1, IsInstall: true},
	})
	if err != nil {
		return nil, fmt.Errorf("render DataPowerService %s/%s: %w", cr.GetNamespace(), cr.GetName(), err)
	}
	return inventory.Parse(out.Manifest)
}

func valuesOf(cr *unstructured.Unstructured, mapped map[string]any) (chartutil.Values, error) {
	spec, _, err := unstructured.NestedMap(cr.Object, "spec")
	if err != nil {
		return nil, fmt.Errorf("read spec: %w", err)
	}
	none, err := values.ParseOverrides(nil, func(string) string { return "" })
	if err != nil {
		return nil, err
	}
	if mapped != nil {
		mapped = map[string]any{mapper.ValuesKey: mapped}
	}
	return none.Merge(spec, mapped)
}

// readService reads the one DataPowerService of a file.
func readService(file string, in io.Reader) (*unstructured.Unstructured, error) {
	var data []byte
	var err error
	if file == "-" {
		data, err = io.ReadAll(in)
	} else {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	objects, err := inventory.Parse(string(data))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	var services []*unstructured.Unstructured
	for _, u := range objects {
		if u.GroupVersionKind().Group == v1beta3.GroupVersion.Group && u.GetKind() == "DataPowerService" {
			services = append(services, u)
		}
	}
	if len(services) != 1 {
		return nil, fmt.Errorf("%w: %s holds %d, it must be one", ErrNoService, file, len(services))
	}
	u := services[0]
	if u.GroupVersionKind().Version != v1beta3.GroupVersion.Version {
		return nil, fmt.Errorf("%w: %s is of %s; write it as %s, as kubectl get datapowerservices.v1beta3.datapower.ibm.com -o yaml prints it",
			ErrNoService, u.GetName(), u.GetAPIVersion(), v1beta3.GroupVersion)
	}
	return u, nil
}

// accepted is the service as the API server would store it: validated, with defaults, and with the UID of the live one.
func accepted(ctx context.Context, c Clients, cr *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(cr.GroupVersionKind())
	err := c.Objects.Get(ctx, client.ObjectKeyFromObject(cr), live)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("read DataPowerService %s/%s: %w", cr.GetNamespace(), cr.GetName(), err)
	}
	exists := err == nil
	out := cr.DeepCopy()
	delete(out.Object, "status")
	for _, field := range []string{"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp"} {
		unstructured.RemoveNestedField(out.Object, "metadata", field)
	}
	err = c.Objects.Apply(ctx, client.ApplyConfigurationFromUnstructured(out), client.DryRunAll, client.ForceOwnership, client.FieldOwner(fieldManager))
	if err != nil {
		return nil, fmt.Errorf("the API server refuses DataPowerService %s/%s: %w", cr.GetNamespace(), cr.GetName(), err)
	}
	if exists {
		out.SetUID(live.GetUID())
	} else {
		out.SetUID("") // a dry run invents one
	}
	return out, nil
}

// mapService asks the cluster what the operator would ask.
func mapService(ctx context.Context, source *chart.Source, c Clients, cr *unstructured.Unstructured) (map[string]any, error) {
	m, err := datapowerservice.New(source.Values())
	if err != nil {
		return nil, err
	}
	mapped, err := m.Map(ctx, cr, references.NewTracker(liveCache{Reader: c.Objects}, c.Objects, nil))
	if err != nil {
		return nil, fmt.Errorf("DataPowerService %s/%s cannot be rendered: %w", cr.GetNamespace(), cr.GetName(), err)
	}
	return mapped, nil
}

// liveCache lets the operator's own reader of references read live: the plugin lives too short for a cache. Only Get and
// List are ever called.
type liveCache struct {
	cache.Cache
	client.Reader
}

// Get implements cache.Cache.
func (l liveCache) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	return l.Reader.Get(ctx, key, o, opts...)
}

// List implements cache.Cache.
func (l liveCache) List(ctx context.Context, o client.ObjectList, opts ...client.ListOption) error {
	return l.Reader.List(ctx, o, opts...)
}
