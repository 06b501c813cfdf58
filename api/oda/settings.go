// SPDX-License-Identifier: Apache-2.0

package oda

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Environment variables that both programs read. The first three have the names and defaults of TM Forum's own
// operator; the others are off unless set.
const (
	EnvGateway           = "APIOPERATORISTIO_COMPONENTGATEWAY"
	EnvPublicHostname    = "APIOPERATORISTIO_PUBLICHOSTNAME"
	EnvMetrics           = "OPENMETRICS_IMPLEMENTATION"
	EnvHostFromSpec      = "APIOPERATORISTIO_HOSTFROMSPEC"
	EnvSegmentSafePrefix = "APIOPERATORISTIO_SEGMENTSAFEPREFIX"
	EnvInternalSegments  = "APIOPERATORISTIO_INTERNALSEGMENTS"
)

// DefaultGateway is the Istio Gateway that APIs are bound to, in the API's own namespace.
const DefaultGateway = "component-gateway"

// ErrSettings says that a setting has a value that is not known.
var ErrSettings = errors.New("invalid setting")

// MetricsMode is how metrics APIs are made known to a monitoring system.
type MetricsMode string

// The modes.
const (
	// MetricsServiceMonitor makes a ServiceMonitor for prometheus-operator.
	MetricsServiceMonitor MetricsMode = "ServiceMonitor"
	// MetricsPrometheusAnnotations annotates the implementation's pods for Prometheus.
	MetricsPrometheusAnnotations MetricsMode = "PrometheusAnnotations"
	// MetricsDataDogAnnotations annotates the implementation's pods for Datadog.
	MetricsDataDogAnnotations MetricsMode = "DataDogAnnotations"
)

// ParseMetricsMode reads a mode in any case, the annotation modes in singular or plural. Nothing is MetricsServiceMonitor,
// anything else an error that wraps ErrSettings.
func ParseMetricsMode(text string) (MetricsMode, error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "", "servicemonitor":
		return MetricsServiceMonitor, nil
	case "prometheusannotation", "prometheusannotations":
		return MetricsPrometheusAnnotations, nil
	case "datadogannotation", "datadogannotations":
		return MetricsDataDogAnnotations, nil
	}
	return "", fmt.Errorf("%w: %s is %q; known are ServiceMonitor, PrometheusAnnotation(s) and DataDogAnnotation(s)",
		ErrSettings, EnvMetrics, text)
}

// Segments of a Component that an API can belong to.
const (
	SegmentCore       = "coreFunction"
	SegmentManagement = "managementFunction"
	SegmentSecurity   = "securityFunction"
)

// Settings decide, together with an API, how it is exposed.
type Settings struct {
	// Gateway is the Istio Gateway that APIs are bound to: "name", in the API's own namespace, or "namespace/name".
	Gateway string
	// PublicHostname is the host name (or address) of all APIs; "" leaves the host open.
	PublicHostname string
	// Metrics is how metrics APIs are monitored.
	Metrics MetricsMode
	// HostFromSpec binds an API with spec.hostname to that host only.
	HostFromSpec bool
	// SegmentSafePrefix keeps the path /v4 from matching /v4x.
	SegmentSafePrefix bool
	// InternalSegments are the segments whose APIs are not exposed on the gateway.
	InternalSegments []string
}

// ReadSettings reads the settings from the environment. Errors wrap ErrSettings and name the variable.
func ReadSettings(getenv func(string) string) (Settings, error) {
	s := Settings{
		Gateway:        strings.TrimSpace(getenv(EnvGateway)),
		PublicHostname: strings.TrimSpace(getenv(EnvPublicHostname)),
	}
	if s.Gateway == "" {
		s.Gateway = DefaultGateway
	}
	var errs [4]error
	s.Metrics, errs[0] = ParseMetricsMode(getenv(EnvMetrics))
	s.HostFromSpec, errs[1] = parseBool(EnvHostFromSpec, getenv(EnvHostFromSpec))
	s.SegmentSafePrefix, errs[2] = parseBool(EnvSegmentSafePrefix, getenv(EnvSegmentSafePrefix))
	s.InternalSegments, errs[3] = parseSegments(getenv(EnvInternalSegments))
	return s, errors.Join(errs[:]...)
}

func parseBool(name, text string) (bool, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("%w: %s is %q; known are true and false", ErrSettings, name, text)
	}
	return b, nil
}

// parseSegments reads a list separated by commas.
func parseSegments(text string) ([]string, error) {
	var out []string
	for s := range strings.SplitSeq(text, ",") {
		s = strings.TrimSpace(s)
		switch {
		case s == "":
		case !slices.Contains([]string{SegmentCore, SegmentManagement, SegmentSecurity}, s):
			return nil, fmt.Errorf("%w: %s has %q; known are %s, %s and %s", ErrSettings, EnvInternalSegments, s,
				SegmentCore, SegmentManagement, SegmentSecurity)
		case !slices.Contains(out, s):
			out = append(out, s)
		}
	}
	return out, nil
}
