package main

import (
	"fmt"
	"sync"

	"github.com/spf13/pflag"
	// The image has no certificates of authorities: those of Mozilla are trusted where the system has none.
	_ "golang.org/x/crypto/x509roots/fallback"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/datapower-operator/datapower-operator/api/datapower/v1beta3"
	"github.com/datapower-operator/datapower-operator/sidecar/datapower"
	"github.com/datapower-operator/datapower-operator/sidecar/monitor"
	"github.com/datapower-operator/datapower-operator/sidecar/peering"
	"github.com/datapower-operator/datapower-operator/webhooks/conversion"
)

// monitorMetrics are made once, as the registry is one for the process.
var monitorMetrics = sync.OnceValues(func() (*monitor.Metrics, error) { return monitor.NewMetrics(metrics.Registry) })

// monitorSettings is what the sidecar can be told about DataPowerMonitors.
type monitorSettings struct {
	policy  monitor.Policy
	actions []string
}

func (m *monitorSettings) bind(flags *pflag.FlagSet) {
	m.policy = monitor.DefaultPolicy
	flags.DurationVar(&m.policy.Tick, "monitor-look-interval", m.policy.Tick,
		"How often gateways to which nothing happens are looked at.")
	flags.DurationVar(&m.policy.Retry, "monitor-retry-interval", m.policy.Retry,
		"How soon gateways are looked at again after a problem or a reset; it doubles each time, up to the look interval.")
	flags.IntVar(&m.policy.Workers, "monitor-workers", m.policy.Workers,
		"How many services' gateways are worked on at the same time.")
	flags.StringArrayVar(&m.actions, "peering-reset-action", nil,
		`Action of the gateway that resets a peering, tried before all others: a JSON object with the action's name as the only key, for example {"Name":{"Parameter":"$(peering)"}}; $(domain) is the domain. Can be repeated.`)
}

// add adds the monitors to the manager.
func (m *monitorSettings) add(mgr ctrl.Manager, users []v1beta3.User) error {
	counters, err := monitorMetrics()
	if err != nil {
		return fmt.Errorf("registering the metrics of the monitors: %w", err)
	}
	policy := peering.Policy{Concurrency: 2 * m.policy.Workers}
	for _, template := range m.actions {
		action, err := peering.ParseAction(template)
		if err != nil {
			return fmt.Errorf("--peering-reset-action: %w", err)
		}
		policy.Actions = append(policy.Actions, action)
	}
	logger := mgr.GetLogger().WithName("monitor")
	cluster := monitor.Cluster{Cached: mgr.GetClient(), Live: mgr.GetAPIReader(), DefaultUsers: users}
	worker := peering.New(peering.Options{
		Pods: cluster.Pods(),
		Gateways: peering.RestGateways{
			Access: cluster, Client: datapower.Options{Log: logger.WithName("gateway")},
			Observe: func(_ peering.Service, call datapower.Call) { counters.Called(call) },
		},
		Policy: policy,
	})
	return monitor.NewReconciler(monitor.Options{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Recorder: mgr.GetEventRecorder("datapower-" + name),
		Log: logger, Worker: worker, Parked: conversion.MonitorSpec, Metrics: counters, Policy: m.policy,
	}).SetupWithManager(mgr)
}
