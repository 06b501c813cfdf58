// Package admission answers the API server's admission requests about DataPowerServices and DataPowerMonitors: it
// decodes, asks packages defaulting and validating, encodes and counts. It has no state and no side effects, so every
// replica serves it, and a dry run is no special case.
package admission
