// Package observability tests what is shipped for Prometheus and Grafana: that the rules fire and stay silent, that every metric
// they, the dashboards and the documents name exists, and that what they refer to is there.
package observability
