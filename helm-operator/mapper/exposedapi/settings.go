package exposedapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/datapower-operator/datapower-operator/api/oda"
	"github.com/datapower-operator/datapower-operator/helm-operator/values"
)

// Settings are what the chart's value settings says.
type Settings struct {
	oda.Settings
	// IstioVersions of networking.istio.io that routes may be written in, the first that is served is used.
	IstioVersions []string
}

// istioVersions are the versions that the chart knows, in its order.
var istioVersions = []string{"v1alpha3", "v1beta1", "v1"}

// ReadSettings reads the settings from the chart's default values and the overrideValues of watches.yaml, so that this
// program decides about conflicts with the settings that the chart renders with. Errors wrap oda.ErrSettings.
func ReadSettings(chartValues, overrideValues map[string]any, getenv func(string) string) (Settings, error) {
	overrides, err := values.ParseOverrides(overrideValues, getenv)
	if err != nil {
		return Settings{}, err
	}
	merged, err := overrides.Merge(chartValues, nil)
	if err != nil {
		return Settings{}, err
	}
	var in struct {
		Settings struct {
			Gateway               string   `json:"gateway"`
			PublicHostname        string   `json:"publicHostname"`
			Metrics               string   `json:"metrics"`
			VirtualServiceVersion string   `json:"virtualServiceVersion"`
			HostFromSpec          bool     `json:"hostFromSpec"`
			SegmentSafePrefix     bool     `json:"segmentSafePrefix"`
			InternalSegments      []string `json:"internalSegments"`
			CORS                  bool     `json:"cors"`
			UnsupportedPolicies   string   `json:"unsupportedPolicies"`
		} `json:"settings"`
	}
	data, err := json.Marshal(merged)
	if err == nil {
		err = json.Unmarshal(data, &in)
	}
	if err != nil {
		return Settings{}, fmt.Errorf("%w: chart value settings: %w", oda.ErrSettings, err)
	}
	s := in.Settings
	texts := map[string]string{
		oda.EnvGateway: s.Gateway, oda.EnvPublicHostname: s.PublicHostname, oda.EnvMetrics: s.Metrics,
		oda.EnvHostFromSpec:      strconv.FormatBool(s.HostFromSpec),
		oda.EnvSegmentSafePrefix: strconv.FormatBool(s.SegmentSafePrefix),
		oda.EnvInternalSegments:  strings.Join(s.InternalSegments, ","),
	}
	shared, err := oda.ReadSettings(func(name string) string { return texts[name] })
	if err != nil {
		return Settings{}, err
	}
	switch strings.ToLower(strings.TrimSpace(s.UnsupportedPolicies)) {
	case "", "ignore", "refuse":
	default:
		return Settings{}, fmt.Errorf("%w: APIOPERATORISTIO_UNSUPPORTEDPOLICIES is %q; known are ignore and refuse",
			oda.ErrSettings, s.UnsupportedPolicies)
	}
	out := Settings{Settings: shared, IstioVersions: istioVersions}
	if v := s.VirtualServiceVersion; v != "" {
		if !slices.Contains(istioVersions, v) {
			return Settings{}, fmt.Errorf("%w: APIOPERATORISTIO_VIRTUALSERVICEVERSION is %q; known are %s",
				oda.ErrSettings, v, strings.Join(istioVersions, ", "))
		}
		out.IstioVersions = []string{v}
	}
	return out, nil
}
