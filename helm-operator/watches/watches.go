// Package watches reads watches.yaml, which says which kind is rendered by which chart, and how.
//
// The file has the form of both existing helm-operators (operator-sdk's helm plugin and
// helm-operator-plugins) and knows every key of either. Unlike them it refuses keys that it does
// not know: a misspelt key would be silently ignored otherwise.
package watches

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/helm-operator/drift"
)

// DefaultMaxReleaseHistory is how many revisions of a release are kept, as in helm-operator-plugins.
const DefaultMaxReleaseHistory = 10

// Watch is one entry of watches.yaml: a kind, its chart, and how it is reconciled.
type Watch struct {
	// GroupVersionKind of the custom resources.
	schema.GroupVersionKind
	// ChartPath is the chart's directory or archive, made absolute from the folder of watches.yaml.
	ChartPath string
	// OverrideValues are chart values that win over the custom resource's, keyed by a Helm value
	// path such as "image.tag" or "domains[0].name". Values keep their YAML type.
	OverrideValues map[string]any
	// ReconcilePeriod is how often a resource is reconciled without any event; 0 means never.
	ReconcilePeriod time.Duration
	// WatchDependentResources tells whether rendered objects are watched and repaired at once.
	WatchDependentResources bool
	// Selector limits the custom resources; it matches everything when absent.
	Selector labels.Selector
	// DryRunOption is how rendering reaches the cluster: "server" lets templates use lookup,
	// "client" (the default) does not.
	DryRunOption DryRunOption
	// MaxConcurrentReconciles of this kind; 0 means the program's default.
	MaxConcurrentReconciles int
	// IgnoreDrift are fields of rendered objects that are set once and left alone afterwards.
	IgnoreDrift drift.Rules
	// DriftManagers are patterns (path.Match) of the field managers whose additions to rendered
	// objects are removed; absent means apply.DefaultIntruders, empty means nobody's.
	DriftManagers []string
	// MaxReleaseHistory is the number of revisions kept of each release; always at least 1.
	MaxReleaseHistory int
	// FallbackVersions take the place of Version, in their order, where the cluster does not serve it.
	FallbackVersions []string
	// MergeStatus is for kinds whose definition may be somebody else's: it may lack the status subresource, and its
	// conditions may be no list by type.
	MergeStatus bool
}

// DryRunOption is Helm's word for how far rendering may reach into the cluster.
type DryRunOption string

const (
	// DryRunClient renders without the cluster; template function lookup finds nothing.
	DryRunClient DryRunOption = "client"
	// DryRunServer lets template function lookup read the cluster.
	DryRunServer DryRunOption = "server"
)

// entry is the file's form of a Watch.
type entry struct {
	Group                   string                `json:"group"`
	Version                 string                `json:"version"`
	Kind                    string                `json:"kind"`
	Chart                   string                `json:"chart"`
	OverrideValues          map[string]any        `json:"overrideValues,omitempty"`
	ReconcilePeriod         *metav1.Duration      `json:"reconcilePeriod,omitempty"`
	WatchDependentResources *bool                 `json:"watchDependentResources,omitempty"`
	Selector                *metav1.LabelSelector `json:"selector,omitempty"`
	DryRunOption            DryRunOption          `json:"dryRunOption,omitempty"`
	MaxConcurrentReconciles *int                  `json:"maxConcurrentReconciles,omitempty"`
	MaxReleaseHistory       *int                  `json:"maxReleaseHistory,omitempty"`
	IgnoreDrift             drift.Rules           `json:"ignoreDrift,omitempty"`
	DriftManagers           []string              `json:"driftManagers,omitempty"`
	FallbackVersions        []string              `json:"fallbackVersions,omitempty"`
	MergeStatus             bool                  `json:"mergeStatus,omitempty"`
}

// Load reads the file. Errors name the entry by position and kind and list every fault.
func Load(file string) ([]Watch, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read watches: %w", err)
	}
	dir, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, fmt.Errorf("read watches %s: %w", file, err)
	}
	w, err := Parse(data, dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return w, nil
}

// Parse reads the content of a watches file; relative chart paths start at dir.
func Parse(data []byte, dir string) ([]Watch, error) {
	var entries []entry
	if err := yaml.UnmarshalStrict(data, &entries); err != nil {
		return nil, fmt.Errorf("parse watches: %w", err)
	}
	if len(entries) == 0 {
		return nil, errors.New("no watches: the file must list at least one group, version, kind and chart")
	}
	var (
		out  []Watch
		errs []error
		seen = map[schema.GroupKind]int{}
	)
	for i, e := range entries {
		w, err := e.watch(dir)
		if err != nil {
			errs = append(errs, fmt.Errorf("entry %d (%s): %w", i, e.Kind, err))
			continue
		}
		if first, ok := seen[w.GroupKind()]; ok {
			errs = append(errs, fmt.Errorf("entry %d (%s): kind is watched by entry %d already", i, e.Kind, first))
			continue
		}
		seen[w.GroupKind()] = i
		out = append(out, w)
	}
	return out, errors.Join(errs...)
}

func (e entry) watch(dir string) (Watch, error) {
	w := Watch{
		GroupVersionKind:        schema.GroupVersionKind{Group: e.Group, Version: e.Version, Kind: e.Kind},
		ChartPath:               e.Chart,
		OverrideValues:          e.OverrideValues,
		WatchDependentResources: e.WatchDependentResources == nil || *e.WatchDependentResources,
		Selector:                labels.Everything(),
		DryRunOption:            DryRunClient,
		MaxReleaseHistory:       DefaultMaxReleaseHistory,
		IgnoreDrift:             e.IgnoreDrift,
		DriftManagers:           e.DriftManagers,
		FallbackVersions:        e.FallbackVersions,
		MergeStatus:             e.MergeStatus,
	}
	var errs []error
	for field, value := range map[string]string{"version": e.Version, "kind": e.Kind, "chart": e.Chart} {
		if value == "" {
			errs = append(errs, fmt.Errorf("%s must not be empty", field))
		}
	}
	if e.Chart != "" && !filepath.IsAbs(e.Chart) {
		w.ChartPath = filepath.Join(dir, e.Chart)
	}
	errs = append(errs, e.readNumbers(&w), e.readOptions(&w))
	return w, errors.Join(errs...)
}

func (e entry) readNumbers(w *Watch) error {
	var errs []error
	if e.ReconcilePeriod != nil {
		if w.ReconcilePeriod = e.ReconcilePeriod.Duration; w.ReconcilePeriod < 0 {
			errs = append(errs, fmt.Errorf("reconcilePeriod must not be negative, is %s", w.ReconcilePeriod))
		}
	}
	if e.MaxConcurrentReconciles != nil {
		if w.MaxConcurrentReconciles = *e.MaxConcurrentReconciles; w.MaxConcurrentReconciles < 1 {
			errs = append(errs, fmt.Errorf("maxConcurrentReconciles must be at least 1, is %d", w.MaxConcurrentReconciles))
		}
	}
	if e.MaxReleaseHistory != nil {
		if w.MaxReleaseHistory = *e.MaxReleaseHistory; w.MaxReleaseHistory < 1 {
			errs = append(errs, fmt.Errorf("maxReleaseHistory must be at least 1, is %d", w.MaxReleaseHistory))
		}
	}
	return errors.Join(errs...)
}

func (e entry) readOptions(w *Watch) error {
	var errs []error
	switch e.DryRunOption {
	case "", DryRunClient, "none":
	case DryRunServer:
		w.DryRunOption = DryRunServer
	default:
		errs = append(errs, fmt.Errorf("dryRunOption must be client or server, is %q", e.DryRunOption))
	}
	for i, rule := range e.IgnoreDrift {
		if err := rule.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("ignoreDrift[%d]: %w", i, err))
		}
	}
	for i, pattern := range e.DriftManagers {
		if _, err := path.Match(pattern, ""); err != nil {
			errs = append(errs, fmt.Errorf("driftManagers[%d]: %q is no pattern: %w", i, pattern, err))
		}
	}
	if e.Selector != nil {
		s, err := metav1.LabelSelectorAsSelector(e.Selector)
		if err != nil {
			errs = append(errs, fmt.Errorf("selector: %w", err))
		} else {
			w.Selector = s
		}
	}
	return errors.Join(errs...)
}
