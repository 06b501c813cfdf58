package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/helm-operator/mapper"
	"github.com/datapower-operator/datapower-operator/helm-operator/values"
	"github.com/datapower-operator/datapower-operator/sidecar/catalogue"
	"github.com/datapower-operator/datapower-operator/webhooks/defaulting"
	"github.com/datapower-operator/datapower-operator/webhooks/validating"
)

// reasonInvalid is the condition reason for a resource that admission would refuse.
const reasonInvalid = "Invalid"

// guard holds what the admission webhook would have refused, had it been asked: it may not be registered, or the resource may be
// older than a rule. It uses the webhook's own functions.
type guard struct {
	mapper.Mapper
	defaults  defaulting.Defaults
	catalogue *catalogue.Catalogue
}

// newGuard guards next with the defaults and the catalogue of the chart's values, with the overrides of the watch over them.
func newGuard(next mapper.Mapper, chartValues, overrideValues map[string]any) (*guard, error) {
	overrides, err := values.ParseOverrides(overrideValues, nil)
	if err != nil {
		return nil, err
	}
	merged, err := overrides.Merge(chartValues, nil)
	if err != nil {
		return nil, err
	}
	defaults, err := defaulting.FromValues(merged)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(merged)
	if err != nil {
		return nil, fmt.Errorf("encode the chart's values: %w", err)
	}
	known, err := catalogue.Parse(text)
	if err != nil {
		return nil, err
	}
	return &guard{Mapper: next, defaults: defaults, catalogue: known}, nil
}

// Map implements mapper.Mapper. What is wrong is told with field paths, never values.
func (g *guard) Map(ctx context.Context, cr *unstructured.Unstructured, cluster mapper.Cluster) (map[string]any, error) {
	if problems := g.problems(cr); len(problems) > 0 {
		return nil, &mapper.HoldError{Reason: reasonInvalid, Message: strings.Join(problems, "; ")}
	}
	return g.Mapper.Map(ctx, cr, cluster)
}

// problems of a resource that cannot be read are left to the mapper.
func (g *guard) problems(cr *unstructured.Unstructured) []string {
	filled := cr.DeepCopy()
	if err := defaulting.Object(filled.Object, g.defaults); err != nil {
		return nil
	}
	svc := &v1beta3.DataPowerService{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(filled.Object, svc); err != nil {
		return nil
	}
	found, _ := validating.Stored(svc, g.catalogue)
	var problems []string
	for _, problem := range found {
		problems = append(problems, problem.Error())
	}
	return problems
}
