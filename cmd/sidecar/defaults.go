package main

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/helm-operator/values"
	"github.com/datapower-operator/datapower-operator/helm-operator/watches"
	"github.com/datapower-operator/datapower-operator/webhooks/defaulting"
)

// loadDefaults reads the defaults of DataPowerService as the helm-operator
// knows them: the chart's values, and over them the overrideValues of the
// watches file. Both are read once, at start.
func loadDefaults(chartValues, watchesFile string) (defaulting.Defaults, error) {
	content, err := os.ReadFile(chartValues)
	if err != nil {
		return defaulting.Defaults{}, fmt.Errorf("reading the chart's values: %w", err)
	}
	var chart map[string]any
	if err := yaml.Unmarshal(content, &chart); err != nil {
		return defaulting.Defaults{}, fmt.Errorf("reading %s: %w", chartValues, err)
	}
	watched, err := watches.Load(watchesFile)
	if err != nil {
		return defaulting.Defaults{}, fmt.Errorf("reading overrideValues: %w", err)
	}
	for _, watch := range watched {
		if watch.GroupVersionKind != v1beta3.GroupVersion.WithKind("DataPowerService") {
			continue
		}
		overrides, err := values.ParseOverrides(watch.OverrideValues, os.Getenv)
		if err != nil {
			return defaulting.Defaults{}, fmt.Errorf("reading %s: %w", watchesFile, err)
		}
		if chart, err = overrides.Merge(chart, nil); err != nil {
			return defaulting.Defaults{}, fmt.Errorf("reading %s: %w", watchesFile, err)
		}
	}
	filled, err := defaulting.FromValues(chart)
	if err != nil {
		return defaulting.Defaults{}, fmt.Errorf("reading %s: %w", chartValues, err)
	}
	return filled, nil
}
