package exposure

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/datapower-operator/datapower-operator/api/oda"
)

// istioProxy is the container of the mesh in every pod that is part of it.
const istioProxy = "istio-proxy"

// prometheusScrape asks Prometheus, in the configuration that is conventional, to scrape a pod.
const prometheusScrape = "prometheus.io/scrape"

// datadogPrefix is what Datadog's metrics are called by, whatever the namespace: upstream's constant.
const datadogPrefix = "components"

// Annotations are what a pod with the given first container gets for the metrics APIs that it implements, in any order.
// The Datadog annotation names every one of them.
func Annotations(mode oda.MetricsMode, apis []oda.API, container string) map[string]string {
	if len(apis) == 0 {
		return nil
	}
	switch mode {
	case oda.MetricsPrometheusAnnotations:
		return map[string]string{prometheusScrape: "true"}
	case oda.MetricsDataDogAnnotations:
		if container == "" {
			return nil
		}
		return map[string]string{"ad.datadoghq.com/" + container + ".checks": datadogChecks(apis)}
	}
	return nil
}

// datadogChecks is the text that upstream's JSON writer gives, blanks included.
func datadogChecks(apis []oda.API) string {
	ordered := slices.Clone(apis)
	slices.SortFunc(ordered, func(a, b oda.API) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind)) })
	var instances []string
	for _, api := range ordered {
		instances = append(instances, fmt.Sprintf(`{"openmetrics_endpoint": %s, "namespace": %q, "metrics": [".*"]}`,
			jsonText(api.InternalURL(api.Path)), datadogPrefix))
	}
	return `{"openmetrics": {"instances": [` + strings.Join(instances, ", ") + `]}}`
}

func jsonText(s string) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		return `""` // no string fails to encode
	}
	return strings.TrimSpace(b.String())
}

// annotated tells whether a pod has what is due, and nothing of ours that is not.
func (p *pod) annotated(due map[string]string) bool {
	for key, value := range due {
		if p.annotations[key] != value {
			return false
		}
	}
	return !slices.ContainsFunc(p.owned, func(key string) bool { _, wanted := due[key]; return !wanted })
}
